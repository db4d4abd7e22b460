/** A comparison as a table. */
import type { RunResult } from '../settings/record.js';
import { comparePaired, mean, singleRunWarning, wilson } from '../statistics/index.js';

/** What of a comparison is told. */
interface Compared {
  readonly names: { readonly alone: string; readonly taught: string };
  readonly tasks: readonly {
    readonly data: string;
    readonly alone: readonly RunResult[];
    readonly taught: readonly RunResult[];
  }[];
}

const percent = (fraction: number): string => `${(100 * fraction).toFixed(1)} %`;
const points = (d: number): string => `${d < 0 ? '−' : '+'}${Math.abs(100 * d).toFixed(1)}`;

/** Markdown: a row a task, with the difference of each seed; then the difference over all, and how far chance might go. */
export function comparisonTable({ names, tasks }: Compared): string {
  const rows = tasks.map(({ data, alone, taught }) => {
    const differences = taught.map((run, i) => run.accuracy - alone[i]!.accuracy);
    return `| ${data} | ${spread(alone)} | ${spread(taught)} | ${points(mean(differences))} (${differences.map(points).join(', ')}) |`;
  });
  const [first] = tasks;
  const { protocol } = first!.alone[0]!;
  const warning = singleRunWarning(first!.alone.length);
  return [
    `| task | ${names.alone} | ${names.taught} | difference, mean (each seed) |`,
    '| --- | --- | --- | --- |',
    ...rows,
    '',
    `Top-1 on the test images, mean (lowest to highest) of ${first!.alone.length} seeds, protocol ${protocol}.`,
    `What the number of test images leaves open of one accuracy (95 % interval, Wilson): ${tasks.map(leftOpen).join('; ')}.`,
    ...(warning === null ? [differenceOver(tasks)] : [warning]),
  ].join('\n');
}

/** Seeds share their test images, so that more of them do not narrow it. */
function leftOpen({ data, taught }: Compared['tasks'][number]): string {
  const { total } = taught[0]!;
  const { low, high } = wilson(Math.round(mean(taught.map(({ correct }) => correct))), total);
  return `${data} ${total} images, ${(100 * low).toFixed(1)}–${(100 * high).toFixed(1)} %`;
}

/** Pairs are of the same task and seed. */
function differenceOver(tasks: Compared['tasks']): string {
  const measured = (which: 'alone' | 'taught') =>
    tasks.flatMap((task) => task[which].map(({ accuracy }, seed) => ({ task: task.data, seed, value: accuracy })));
  const { summary, interval, test } = comparePaired(measured('alone'), measured('taught'));
  const range = `95 % interval ${points(interval!.low)} to ${points(interval!.high)} (BCa bootstrap)`;
  return `Difference over all ${summary.n} pairs: ${points(summary.mean)}, ${range}, sign-flip test p = ${test.p.toFixed(3)}.`;
}

function spread(runs: readonly RunResult[]): string {
  const values = runs.map((run) => run.accuracy);
  return `${percent(mean(values))} (${percent(Math.min(...values))} to ${percent(Math.max(...values))})`;
}
