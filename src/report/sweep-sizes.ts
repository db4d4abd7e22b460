/**
 * Where a difference begins and ends: the same data with more and more images of each class, as data sets that are named alike but
 * for a number at the end (`eurosat-5`, `eurosat-10`, …).
 */
import { mean } from '../statistics/index.js';
import { type SizeCurve, sizeChart } from './curves.js';
import { inlineDrawing } from './drawing.js';
import { type Html, html } from './html.js';
import { dataTable, figure, legend, type Section } from './page.js';
import type { SweepDifference, SweptRun } from './sweep-figures.js';
import { COLOURS, type PageColours } from './theme.js';

export interface SizedRun extends SweptRun {
  /** Images of each class that it learned from, on average; null where that cannot be read. */
  readonly imagesPerClass: number | null;
}

const NUMBERED = /^(.*[^\d_-])[-_]\d+$/;

/** The data that a data set is some of; null where its name has no number at its end. */
const dataOf = (task: string): string | null => NUMBERED.exec(task)?.[1] ?? null;

/** A difference by images a class, a curve for each kind of data of which there are several sizes. */
export function sizeCurves({ byRun }: SweepDifference, runs: readonly SizedRun[]): SizeCurve[] {
  const sizeOf = new Map(runs.map(({ task, imagesPerClass }) => [task, imagesPerClass]));
  const byData = new Map<string, Map<number, number[]>>();
  for (const { task, value } of byRun.differences) {
    const [data, size] = [dataOf(task), sizeOf.get(task) ?? null];
    if (data === null || size === null) continue;
    const sizes = byData.get(data) ?? new Map<number, number[]>();
    sizes.set(size, [...(sizes.get(size) ?? []), value]);
    byData.set(data, sizes);
  }
  const several = [...byData].filter(([, sizes]) => sizes.size > 1);
  return several.map(([name, sizes], i) => ({
    name,
    colour: COLOURS[i % COLOURS.length]!,
    points: [...sizes].sort(([a], [b]) => a - b).map(([size, values]) => ({ size, values, mean: mean(values) })),
  }));
}

const signed = (value: number): string => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(1)}`;

/** Null where no data came in several sizes. */
export function sizesSection(
  runs: readonly SizedRun[],
  differences: readonly SweepDifference[],
  colours: PageColours,
): Section | null {
  const told = differences
    .map((difference) => ({ difference, curves: sizeCurves(difference, runs) }))
    .filter(({ curves }) => curves.length > 0);
  if (told.length === 0) return null;
  const figures = told.map(({ difference: { of, against }, curves }, i): Html => {
    const title = `${of.label} − ${against.label}`;
    const alt = `${title} by images a class: ${curves.map(({ name, points }) => `${name} ${points.map((one) => `${one.size}: ${signed(one.mean)}`).join(', ')}`).join('; ')}`;
    const drawing = inlineDrawing(sizeChart(curves), { name: `s${i}`, alt, colours })!;
    return figure({ title, says: 'In points. A dot is a pair of runs, the line their mean.', drawing });
  });
  const names = told[0]!.curves.map(({ name, colour }) => ({ name, colour: colours.variable(colour) }));
  const sizes = [
    ...new Set(told.flatMap(({ curves }) => curves.flatMap(({ points }) => points.map(({ size }) => size)))),
  ];
  sizes.sort((a, b) => a - b);
  const rows = told.flatMap(({ difference: { of, against }, curves }) =>
    curves.map(({ name, points }) => [
      `${name}: ${of.label} − ${against.label}`,
      ...sizes.map((size) => {
        const found = points.find((point) => point.size === size);
        return found ? `${signed(found.mean)} (${found.values.length})` : '';
      }),
    ]),
  );
  const columns = ['images a class', ...sizes.map((size) => `${size}`)];
  const table = dataTable(
    'Differences by images a class',
    columns.map((title, i) => ({ title, ...(i > 0 && { kind: 'number' as const }) })),
    rows,
  );
  return {
    id: 'sizes',
    title: 'By images a class',
    body: html`${legend(names)}<div class="grid">${figures}</div><div class="card">${table}</div>
<p class="note">Mean differences in points, and of how many pairs. Images that a run learned from, by class on average.</p>`,
  };
}
