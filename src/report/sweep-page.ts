/** The page of a sweep: every run, what may be said of the differences, and in what regime they were measured. */
import type { EpochMetrics } from '../settings/record.js';
import { mean, type PairedComparison, wilson } from '../statistics/index.js';
import { shortAccuracy } from './accuracy.js';
import { type Cloud, type Curve, curveChart, type NumberFormat, pointChart } from './curves.js';
import { inlineDrawing } from './drawing.js';
import { type Html, html, type Piece } from './html.js';
import { dataTable, figure, legend, pageText, type Section, tiles } from './page.js';
import { axisStrip, dotStrip, niceTicks, type Reach } from './strips.js';
import {
  differencesOf,
  linesOf,
  meansOfSeeds,
  ofTask,
  type SweepDifference,
  type SweepLine,
  type SweptRuns,
} from './sweep-figures.js';
import { type SizedRun, sizesSection } from './sweep-sizes.js';
import { meanAndSpread } from './sweep-table.js';
import { COLOURS, PageColours } from './theme.js';

export interface StoryRun extends SizedRun {
  readonly correct: number;
  readonly total: number;
  /** Top-1 on the training images in the last epoch. */
  readonly trainAccuracy: number | null;
  /** Spent in training. */
  readonly seconds: number;
  /** Empty where they cannot be read. */
  readonly metrics: readonly EpochMetrics[];
}

export interface SweepStory {
  readonly name: string;
  readonly plan: SweptRuns['plan'];
  readonly results: readonly StoryRun[];
  /** Runs that did not end, with the sentence why. */
  readonly failed: readonly { readonly name: string; readonly message: string }[];
  /** What should be seen here and is not, a sentence each. */
  readonly missing: readonly string[];
}

type Line = SweepLine<StoryRun>;

/** What all parts of the page need. */
interface Told {
  readonly story: SweepStory;
  readonly lines: readonly Line[];
  readonly tasks: readonly string[];
  readonly colours: PageColours;
}

const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)}\u00a0%`;
const signed = (value: number, digits = 2): string => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(digits)}`;
const colourOf = (index: number): string => COLOURS[index % COLOURS.length]!;

/** HTML, to stand in a file by itself. */
export function sweepPage(story: SweepStory): string {
  const colours = new PageColours();
  const tasks = [...new Set(story.results.map(({ task }) => task))];
  const told: Told = { story, lines: linesOf(story.results), tasks, colours };
  const differences = differencesOf(told.lines, story.plan.against);
  const sections = [
    tableSection(told),
    runsSection(told),
    differencesSection(told, differences),
    sizesSection(story.results, differences, colours),
    regimeSection(told, differences),
    curvesSection(told),
    everySection(told),
    failedSection(story),
  ].filter((section) => section !== null);
  const protocols = [...new Set(story.results.map(({ protocol }) => protocol))].join(', ');
  return pageText({
    title: story.name,
    kind: 'A sweep of idat',
    lede: [story.plan.says ?? null, story.plan.says ? ' ' : null, counted(told)],
    headline: headline(told, differences),
    sections,
    foot: `Accuracies are top-1 on the test images, protocol ${protocols}. This page is one file and loads nothing.`,
    colours,
  });
}

const plural = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`;

function counted({ story: { results, failed }, lines, tasks }: Told): Piece {
  const seeds = new Set(results.map(({ seed }) => seed)).size;
  const left = failed.length > 0 ? html`; ${failed.length} more have no result` : null;
  return html`<b>${plural(results.length, 'run')}</b> of ${plural(lines.length, 'setting')} on ${plural(tasks.length, 'task')} with ${plural(seeds, 'seed')}${left}.`;
}

/** The largest difference in a sentence, or what stands in its way. */
function headline({ story, lines, tasks }: Told, differences: readonly SweepDifference[]): Html {
  const unseen = story.missing.map((sentence) => html`<p class="note warn">${sentence}</p>`);
  const best = [...lines]
    .map((line) => ({ line, mean: mean(line.runs.map(({ accuracy }) => accuracy)) }))
    .sort((a, b) => b.mean - a.mean)[0];
  const largest = [...differences].sort((a, b) => Math.abs(b.byRun.summary.mean) - Math.abs(a.byRun.summary.mean))[0];
  const seconds = story.results.reduce((sum, run) => sum + run.seconds, 0);
  const shown: [string, string][] = [
    ...(best ? ([[percent(best.mean), `mean of the best setting, ${best.line.label}`]] as [string, string][]) : []),
    [`${story.results.length}`, story.failed.length > 0 ? `runs ended, ${story.failed.length} did not` : 'runs ended'],
    [`${tasks.length}`, tasks.length === 1 ? `task: ${tasks[0]}` : 'tasks'],
    [seconds < 5400 ? `${(seconds / 60).toFixed(0)} min` : `${(seconds / 3600).toFixed(1)} h`, 'of training together'],
  ];
  if (!largest) {
    return html`<div class="hero"><p class="of">No two settings share a task and a seed, so that nothing is held against each other.</p>${unseen}${tiles(shown)}</div>`;
  }
  const { summary } = largest.byRun;
  return html`<div class="hero">
<p class="big">${signed(summary.mean, 1)}<small>points</small></p>
<p class="of"><b>${largest.of.label}</b> less <b>${largest.against.label}</b>, the mean over ${plural(summary.n, 'pair')} of runs with the same task and seed${differences.length > 1 ? ', the largest difference here' : null}</p>
<p class="note">${verdict(largest)}</p>
${unseen}
${tiles(shown)}
</div>`;
}

/** What the numbers allow to say. */
function verdict({ byRun: { summary, interval, test }, adjusted }: SweepDifference): string {
  if (!interval) return 'One pair is no measure: how much runs differ by chance is not known.';
  const range = `95 % interval ${signed(interval.low)} to ${signed(interval.high)} points (BCa bootstrap)`;
  const all = adjusted > test.p ? `, ${pText(adjusted)} for all comparisons here (Holm)` : '';
  const smallest = 2 / 2 ** summary.n;
  const few =
    smallest > 0.05
      ? ` With ${summary.n} pairs no p lies below ${smallest}, and intervals come out too narrow: more seeds would say more.`
      : '';
  const zero = interval.low <= 0 && interval.high >= 0;
  return `${range}; sign-flip test p ${pText(test.p, '= ')}${all}. ${zero ? 'That it is 0 is among what this leaves open.' : '0 lies outside.'}${few}`;
}

/** A p of a permutation test is never 0. */
const pText = (p: number, equals = ''): string => (p < 0.001 ? '<\u00a00.001' : `${equals}${p.toFixed(3)}`);

function tableSection({ story, lines, tasks, colours }: Told): Section {
  const several = tasks.length > 1;
  const rows = lines.map((line) => [
    swatch(line.label, colours.variable(colourOf(lines.indexOf(line)))),
    ...tasks.map((task) => meanAndSpread(ofTask(line, task))),
    ...(several ? [meanAndSpread(meansOfSeeds(line, tasks))] : []),
    `${new Set(line.runs.map(({ seed }) => seed)).size}`,
  ]);
  const columns = ['setting', ...tasks, ...(several ? ['mean of tasks'] : []), 'seeds'];
  const totals = [...new Set(story.results.map(({ total }) => total))];
  const middle = Math.round(mean(story.results.map(({ correct, total }) => (1000 * correct) / total)));
  const open = wilson(Math.round((middle * totals[0]!) / 1000), totals[0]!);
  return {
    id: 'table',
    title: 'Accuracy',
    body: html`<div class="card">${dataTable(
      'Accuracy of each setting by task',
      columns.map((title, i) => ({ title, ...(i > 0 && { kind: 'number' as const }) })),
      rows,
    )}</div>
<p class="note">Per cent of the test images, mean ± standard deviation over seeds.${
      totals.length === 1
        ? ` Of a single accuracy, ${totals[0]!.toLocaleString('en')} test images leave about ±${(50 * (open.high - open.low)).toFixed(1)} points open (95 %, Wilson); runs share these images, so that differences between them are known better.`
        : ''
    }${story.plan.standIn ? ` ${story.plan.standIn}` : ''}</p>`,
  };
}

const swatch = (label: string, colour: string): Html =>
  html`<span class="row"><i style="background:${colour}"></i>${label}</span>`;

const rowLegend = ({ lines, colours }: Told): Html =>
  legend(lines.map(({ label }, i) => ({ name: label, colour: colours.variable(colourOf(i)) })));

const reachOf = (ticks: readonly number[]): Reach => ({ low: ticks[0]!, high: ticks.at(-1)! });

function runsSection({ lines, tasks, colours }: Told): Section {
  const panels = tasks.map((task) => {
    const own = lines.filter((line) => line.runs.some((run) => run.task === task));
    const ticks = niceTicks(own.flatMap((line) => ofTask(line, task)));
    const reach = reachOf(ticks);
    const rows = own.map((line) => {
      const values = ofTask(line, task);
      const runs = line.runs.filter((run) => run.task === task).sort((a, b) => a.seed - b.seed);
      const label = `${line.label}: ${values.map((value) => value.toFixed(1)).join(', ')} per cent`;
      const dots = runs.map(({ accuracy, seed }) => ({
        value: 100 * accuracy,
        says: `seed ${seed}: ${percent(accuracy)}`,
      }));
      const drawn = { dots, colour: colourOf(lines.indexOf(line)), mean: mean(values), reach, label };
      return [line.label, dotStrip(drawn, colours), meanAndSpread(values)];
    });
    const columns = [
      { title: 'setting' },
      { title: 'accuracy of each run', kind: 'wide' as const },
      { title: 'mean ± sd', kind: 'number' as const },
    ];
    const foot = ['', axisStrip(ticks, reach, (tick) => `${tick} %`), ''];
    return html`<div class="card"><h3>${task}</h3>${dataTable(`Every run on ${task}`, columns, rows, foot)}</div>`;
  });
  return {
    id: 'runs',
    title: 'Every run',
    body: html`<p class="note">A dot is a run; dots of a seed stand at one height. The stroke is the mean.</p><div class="stack">${panels}</div>`,
  };
}

function differencesSection({ colours, lines }: Told, differences: readonly SweepDifference[]): Section | null {
  if (differences.length === 0) return null;
  const several = differences.some(({ byTask }) => byTask.tasks > 1);
  const spread = differences.flatMap(({ byRun: { differences: each, interval } }) => [
    ...each.map(({ value }) => value),
    ...(interval ? [interval.low, interval.high] : []),
  ]);
  const ticks = niceTicks([0, ...spread]);
  const reach = reachOf(ticks);
  const rows = differences.map(({ of, against, byRun, byTask, adjusted }) => {
    const { summary, interval, test, differences: each } = byRun;
    const dots = each.map(({ task, seed, value }) => ({ value, says: `${task}, seed ${seed}: ${signed(value)}` }));
    const label = `${of.label} less ${against.label}: mean ${signed(summary.mean)} points${interval ? `, 95 % interval ${bounds(byRun)}` : ''}`;
    const colour = colourOf(lines.findIndex((line) => line.label === of.label));
    return [
      html`${of.label} − ${against.label}`,
      html`${dotStrip({ dots, colour, mean: summary.mean, interval, zero: true, reach, label }, colours)}<span class="narrow" aria-hidden="true">${signed(summary.mean)} (${bounds(byRun)})</span>`,
      signed(summary.mean),
      bounds(byRun),
      summary.n === 1 ? '–' : pText(test.p),
      pText(adjusted),
      `${summary.n}`,
      ...(several ? [bounds(byTask)] : []),
    ];
  });
  const numbers = ['points', '95 % interval', 'p', 'p (Holm)', 'pairs', ...(several ? ['interval over tasks'] : [])];
  const columns = [
    { title: 'difference' },
    { title: 'each pair, mean and interval', kind: 'wide' as const },
    ...numbers.map((title) => ({ title, kind: 'number' as const })),
  ];
  const foot = ['', axisStrip(ticks, reach, (tick) => signed(tick, 0).replace(/^\+0$/, '0')), ...numbers.map(() => '')];
  return {
    id: 'differences',
    title: 'Differences',
    body: html`<div class="card">${dataTable('Paired differences', columns, rows, foot)}</div>
<p class="note">Of runs with the same task and seed, in points of accuracy. Interval of the mean: BCa bootstrap; p: sign-flip test, and raised for ${plural(differences.length, 'comparison')} (Holm).${
      several
        ? ' The last interval takes each task’s mean as one observation: it says what other tasks would give.'
        : ''
    }</p>`,
  };
}

function bounds({ interval }: PairedComparison): string {
  return interval ? `${signed(interval.low)} to ${signed(interval.high)}` : '–';
}

/** From this accuracy on the training images on, nothing is left to learn from them. */
const LEARNT = 0.99;

/** Whether differences depend on how far the runs had learnt their training images. */
function regimeSection(told: Told, differences: readonly SweepDifference[]): Section | null {
  const { lines, colours } = told;
  const clouds = lines.map(
    ({ label, runs }, i): Cloud => ({
      name: label,
      colour: colourOf(i),
      points: runs.flatMap((run) => (run.trainAccuracy === null ? [] : [[run.trainAccuracy, run.accuracy] as const])),
    }),
  );
  if (clouds.every(({ points }) => points.length === 0)) return null;
  const training = { name: 'right in training, last epoch', format: 'share' } as const;
  const grown = differences.map(({ of, against, byRun }): Cloud & { readonly label: string } => ({
    name: of.label,
    label: `${of.label} − ${against.label}`,
    colour: colourOf(lines.findIndex((line) => line.label === of.label)),
    points: byRun.differences.flatMap(({ task, seed, value }) => {
      const base = (against as Line).runs.find((run) => run.task === task && run.seed === seed);
      return typeof base?.trainAccuracy === 'number' ? [[base.trainAccuracy, value] as const] : [];
    }),
  }));
  const first = pointChart(clouds, training, { name: 'right on test', format: 'share' });
  const figures = [
    figure({
      title: 'Test against training',
      says: 'A point is a run.',
      drawing: inlineDrawing(first, {
        name: 'r0',
        alt: 'Accuracy on test by accuracy in training, a point a run',
        colours,
      })!,
    }),
  ];
  if (grown.some(({ points }) => points.length > 0)) {
    const axis = { name: 'difference in points', format: 'points' } as const;
    const second = pointChart(
      grown,
      { ...training, name: 'right in training, of what it is held against' },
      axis,
      true,
    );
    figures.push(
      figure({
        title: 'Differences by regime',
        says: 'A point is a pair of runs; the line is no difference.',
        drawing: inlineDrawing(second, { name: 'r1', alt: 'Differences of pairs by accuracy in training', colours })!,
      }),
    );
  }
  const sentences = grown.flatMap(({ label, points }) => regimeSentence(label, points));
  return {
    id: 'regime',
    title: 'How far they had learnt',
    body: html`${rowLegend(told)}<div class="grid">${figures}</div>${sentences.map((sentence) => html`<p class="note">${sentence}</p>`)}`,
  };
}

function regimeSentence(label: string, points: Cloud['points']): string[] {
  if (points.length === 0) return [];
  const learnt = points.filter(([x]) => x >= LEARNT).map(([, y]) => y);
  const others = points.filter(([x]) => x < LEARNT).map(([, y]) => y);
  const told = (values: readonly number[]) => `${signed(mean(values))} points over ${plural(values.length, 'pair')}`;
  const end = `the training images were learnt to the end (${percent(LEARNT, 0)} right or more)`;
  if (others.length === 0) return [`${label}: ${told(learnt)}; in all of them ${end}.`];
  if (learnt.length === 0) return [`${label}: ${told(others)}; in none of them ${end}.`];
  return [`${label}: ${told(learnt)} in which ${end}, ${told(others)} in which they were not.`];
}

/** Curves of more tasks are folded away. */
const SHOWN_TASKS = 6;

function curvesSection(told: Told): Section | null {
  const { lines, tasks, colours } = told;
  const measures: { title: string; format: NumberFormat; of: (line: EpochMetrics) => number | null }[] = [
    { title: 'accuracy in training', format: 'share', of: (line) => line.trainAccuracy },
    { title: 'loss in training', format: 'plain', of: (line) => line.loss.student },
    { title: 'accuracy on test', format: 'share', of: (line) => line.testAccuracy },
  ];
  const figures = tasks.flatMap((task, t) =>
    measures.flatMap(({ title, format, of }, m) => {
      const curves = lines.flatMap(({ label, runs }, i) =>
        runs
          .filter((run) => run.task === task)
          .map(
            (run): Curve => ({
              name: `${label}, seed ${run.seed}`,
              colour: colourOf(i),
              thin: true,
              points: run.metrics.flatMap((line) => {
                const value = line.phase === 'final' ? of(line) : null;
                return value === null ? [] : [[line.epoch + 1, value] as const];
              }),
            }),
          )
          .filter(({ points }) => points.length > 0),
      );
      if (curves.length === 0) return [];
      const alt = `${task}: ${title} over the epochs of ${plural(curves.length, 'run')}`;
      const drawing = inlineDrawing(curveChart(curves, format, false), { name: `c${t}-${m}`, alt, colours })!;
      return [
        figure({
          title: tasks.length > 1 ? `${task}: ${title}` : `${title[0]!.toUpperCase()}${title.slice(1)}`,
          drawing,
        }),
      ];
    }),
  );
  if (figures.length === 0) return null;
  const all = html`<div class="grid">${figures}</div>`;
  const body =
    tasks.length <= SHOWN_TASKS
      ? all
      : html`<details><summary>Curves of all ${tasks.length} tasks</summary>${all}</details>`;
  return { id: 'curves', title: 'How they learned', body: html`${rowLegend(told)}${body}` };
}

function everySection({ story: { results } }: Told): Section {
  const rows = results.map(({ name, trainAccuracy, seconds, ...counts }) => [
    name,
    shortAccuracy(counts),
    trainAccuracy === null ? '–' : percent(trainAccuracy),
    seconds < 90 ? `${seconds.toFixed(0)} s` : `${(seconds / 60).toFixed(1)} min`,
  ]);
  const columns = ['run', 'accuracy (95 % interval)', 'in training', 'time'];
  const table = dataTable(
    'Every run in numbers',
    columns.map((title, i) => ({ title, ...(i > 0 && { kind: 'number' as const }) })),
    rows,
  );
  return {
    id: 'numbers',
    title: 'In numbers',
    body: html`<details><summary>All ${plural(results.length, 'run')}</summary><div class="card">${table}</div></details>`,
  };
}

function failedSection({ failed }: SweepStory): Section | null {
  if (failed.length === 0) return null;
  const rows = failed.map(({ name, message }) => [name, message]);
  const table = dataTable('Runs without a result', [{ title: 'run' }, { title: 'why' }], rows);
  return { id: 'failed', title: 'Without a result', body: html`<div class="card">${table}</div>` };
}
