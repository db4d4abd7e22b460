/**
 * The runs of a sweep as a table: a row each setting, mean and spread over seeds, with the paper's figure beside it where
 * the plan repeats one of its tables; then what may be said of the differences that the plan asks for.
 */
import { TABLES, TASKS } from '../paper/tables.js';
import { taskNamed } from '../paper/tasks.js';
import { mean, type PairedComparison, standardDeviation } from '../statistics/index.js';
import { markdownTable, plain } from './markdown.js';
import { differencesOf, linesOf, meansOfSeeds, ofTask, type SweepLine, type SweptRuns } from './sweep-figures.js';

/** Markdown. Accuracies are top-1 in per cent: mean ± standard deviation over seeds. */
export function sweepTable({ plan, results, failed }: SweptRuns): string {
  const tasks = [...new Set(results.map(({ task }) => task))];
  const lines = linesOf(results);
  const printed = printedIn(plan.paper);
  const several = tasks.length > 1;
  const head = [
    'setting',
    ...tasks.map(plain),
    ...(several ? ['mean of tasks'] : []),
    ...(printed ? ['paper'] : []),
    'seeds',
  ];
  const rows = lines.map((line) => {
    const paper = line.paperRow === null ? null : (printed?.rows[line.paperRow - 1] ?? null);
    const beside = (task: string) => {
      const figure = several ? paper?.ofTask(task) : undefined;
      return figure === undefined ? '' : ` (${figure.toFixed(1)})`;
    };
    return [
      plain(line.label),
      ...tasks.map((task) => `${meanAndSpread(ofTask(line, task))}${beside(task)}`),
      ...(several ? [meanAndSpread(meansOfSeeds(line, tasks))] : []),
      ...(printed ? [paper ? paper.accuracy.toFixed(2) : ''] : []),
      `${new Set(line.runs.map(({ seed }) => seed)).size}`,
    ];
  });
  return [
    ...(printed ? [`Table ${printed.number}: ${printed.shows}`, ''] : []),
    markdownTable(head, rows),
    '',
    notes(),
    ...differences(lines, plan.against),
  ].join('\n');

  function notes(): string {
    const protocols = [...new Set(results.map(({ protocol }) => protocol))];
    const single = lines.some((line) => tasks.some((task) => ofTask(line, task).length === 1));
    const uneven = lines.some((line) =>
      tasks.some((task) => ofTask(line, task).length !== ofTask(lines[0]!, tasks[0]!).length),
    );
    return [
      `Top-1 on the test images in per cent, mean ± standard deviation over seeds; protocol ${protocols.join(', ')}.`,
      ...(printed
        ? [
            'Paper: the figure that it prints, from one run as far as it says' +
              (several && printed.byTask ? ', a task’s in brackets.' : '.'),
          ]
        : []),
      ...(printed?.remark ? [`Of the paper’s table: ${printed.remark}.`] : []),
      ...(plan.standIn ? [plan.standIn] : []),
      ...(single
        ? ['One seed is no measure: where a cell has no ±, a difference of a point or two may be chance.']
        : []),
      ...(uneven || failed.length > 0
        ? ['Not all runs have ended: a mean of tasks is over the seeds that have all of them.']
        : []),
    ].join('\n');
  }
}

/** Mean ± standard deviation. */
export function meanAndSpread(values: readonly number[]): string {
  if (values.length === 0) return '–';
  const middle = mean(values).toFixed(2);
  const deviation = standardDeviation(values);
  return deviation === null ? middle : `${middle} ± ${deviation.toFixed(2)}`;
}

/** Paired differences over tasks and seeds; both units are told. */
function differences(lines: readonly SweepLine[], against: SweptRuns['plan']['against']): string[] {
  const found = differencesOf(lines, against);
  if (found.length === 0) return [];
  const severalTasks = found.some(({ byTask }) => byTask.tasks > 1);
  const rows = found.map(({ of, against: other, byRun, byTask, adjusted }) => [
    `${plain(of.label)} − ${plain(other.label)}`,
    `${byRun.pairs}`,
    ...told(byRun),
    pText(adjusted),
    ...(severalTasks ? [told(byTask)[1]!] : []),
  ]);
  const head = ['difference', 'pairs', 'points', '95 % interval', 'p', 'p (Holm)'];
  return [
    '',
    markdownTable(severalTasks ? [...head, '95 % interval over tasks'] : head, rows),
    '',
    `Differences of runs with the same task and seed; BCa bootstrap interval of their mean, sign-flip test, and its p raised for ${found.length} comparison${found.length === 1 ? '' : 's'} (Holm).`,
    ...(severalTasks
      ? ['The last interval takes each task’s mean as one observation: it says what other tasks would give.']
      : []),
  ];
}

function told({ summary, interval, test }: PairedComparison): [points: string, interval: string, p: string] {
  const signed = (value: number) => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(2)}`;
  const bounds = interval ? `${signed(interval.low)} to ${signed(interval.high)}` : '–';
  return [signed(summary.mean), bounds, summary.n === 1 ? '–' : pText(test.p)];
}

/** A p of a permutation test is never 0. */
const pText = (p: number): string => (p < 0.001 ? '< 0.001' : p.toFixed(3));

/** A row of one of the paper's tables. */
interface PrintedRow {
  readonly accuracy: number;
  ofTask(task: string): number | undefined;
}

interface PrintedTable {
  readonly number: number;
  readonly shows: string;
  readonly remark: string | undefined;
  readonly byTask: boolean;
  readonly rows: readonly PrintedRow[];
}

/** @param name such as `table-10` */
function printedIn(name: string | undefined): PrintedTable | null {
  const table = TABLES.find(({ number }) => name === `table-${number}`);
  if (!table || table.of === 'tasks' || table.of === 'rates') return null;
  const { number, shows, remark } = table;
  const about = { number, shows, remark, byTask: table.of === 'methods' };
  if (table.of === 'settings') {
    return { ...about, rows: table.rows.map(({ accuracy }) => ({ accuracy, ofTask: () => undefined })) };
  }
  const place = (task: string) => TASKS.findIndex(({ name: known }) => known === taskNamed(task)?.name);
  const rows = table.rows.map((row) => ({ accuracy: row.mean, ofTask: (task: string) => row.accuracies[place(task)] }));
  return { ...about, rows };
}
