/**
 * The runs of a sweep as a table: a row each setting, mean and spread over seeds, with the paper's figure beside it where
 * the plan repeats one of its tables; then what may be said of the differences that the plan asks for.
 */
import { TABLES, TASKS } from '../paper/tables.js';
import { taskNamed } from '../paper/tasks.js';
import {
  comparePaired,
  holm,
  type Measured,
  mean,
  type PairedComparison,
  standardDeviation,
} from '../statistics/index.js';
import { markdownTable, plain } from './markdown.js';

/** What of a sweep is told. */
export interface SweptRuns {
  readonly plan: {
    readonly paper?: string;
    readonly says?: string;
    readonly standIn?: string;
    readonly against?: string | Readonly<Record<string, string>>;
  };
  readonly results: readonly SweptRun[];
  readonly failed: readonly unknown[];
}

export interface SweptRun {
  readonly name: string;
  readonly task: string;
  /** Its row's name in the plan. */
  readonly row?: string | null;
  readonly paperRow?: number | null;
  readonly seed: number;
  readonly accuracy: number;
  readonly protocol: string;
}

/** The runs of one setting. */
interface Line {
  readonly label: string;
  readonly row: string | null;
  readonly paperRow: number | null;
  readonly runs: readonly SweptRun[];
}

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
      ...tasks.map((task) => `${cell(ofTask(line, task))}${beside(task)}`),
      ...(several ? [cell(meansOfSeeds(line, tasks))] : []),
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

/** In the order of the paper's rows where they have one, and otherwise as they came. */
function linesOf(results: readonly SweptRun[]): Line[] {
  const byLabel = new Map<string, SweptRun[]>();
  for (const run of results) {
    const label = run.name.split('/')[1] ?? run.name;
    byLabel.set(label, [...(byLabel.get(label) ?? []), run]);
  }
  const lines = [...byLabel].map(([label, runs]) => ({
    label,
    runs,
    row: runs[0]!.row ?? null,
    paperRow: runs[0]!.paperRow ?? null,
  }));
  return lines.sort((a, b) => (a.paperRow ?? Number.MAX_VALUE) - (b.paperRow ?? Number.MAX_VALUE));
}

const ofTask = ({ runs }: Line, task: string): number[] =>
  runs.filter((run) => run.task === task).map(({ accuracy }) => 100 * accuracy);

/** The mean over all tasks for each seed that has them all. */
function meansOfSeeds({ runs }: Line, tasks: readonly string[]): number[] {
  const seeds = [...new Set(runs.map(({ seed }) => seed))];
  const all = seeds
    .map((seed) => runs.filter((run) => run.seed === seed))
    .filter(({ length }) => length === tasks.length);
  return all.map((one) => mean(one.map(({ accuracy }) => 100 * accuracy)));
}

function cell(values: readonly number[]): string {
  if (values.length === 0) return '–';
  const middle = mean(values).toFixed(2);
  const deviation = standardDeviation(values);
  return deviation === null ? middle : `${middle} ± ${deviation.toFixed(2)}`;
}

/** A row, and the one it is held against. */
type Contrast = readonly [of: Line, against: Line];

function contrasts(lines: readonly Line[], against: SweptRuns['plan']['against']): Contrast[] {
  if (against === undefined) return [];
  const called = (name: string) => lines.find(({ label, row }) => name === row || name === label);
  const base = typeof against === 'string' ? called(against) : undefined;
  const wanted: [Line | undefined, Line | undefined][] =
    typeof against === 'string'
      ? lines.filter((line) => line !== base).map((line) => [line, base])
      : Object.entries(against).map(([of, other]) => [called(of), called(other)]);
  return wanted.filter((pair): pair is [Line, Line] => pair[0] !== undefined && pair[1] !== undefined);
}

/**
 * Paired differences over tasks and seeds. Both units are told: runs say what other seeds would give on these tasks, tasks what
 * other tasks would.
 */
function differences(lines: readonly Line[], against: SweptRuns['plan']['against']): string[] {
  const measured = ({ runs }: Line): Measured[] =>
    runs.map(({ task, seed, accuracy }) => ({ task, seed, value: 100 * accuracy }));
  const shareRuns = ([of, other]: Contrast) =>
    of.runs.some((one) => other.runs.some(({ task, seed }) => task === one.task && seed === one.seed));
  const pairs = contrasts(lines, against).filter(shareRuns);
  if (pairs.length === 0) return [];
  const byRun = pairs.map(([of, other]) => comparePaired(measured(other), measured(of)));
  const byTask = pairs.map(([of, other]) => comparePaired(measured(other), measured(of), { unit: 'task' }));
  const adjusted = holm(byRun.map(({ test }) => test.p));
  const severalTasks = byTask.some(({ tasks }) => tasks > 1);
  const rows = pairs.map(([of, other], i) => [
    `${plain(of.label)} − ${plain(other.label)}`,
    `${byRun[i]!.pairs}`,
    ...told(byRun[i]!),
    adjusted[i]!.toFixed(3),
    ...(severalTasks ? [told(byTask[i]!)[1]!] : []),
  ]);
  const head = ['difference', 'pairs', 'points', '95 % interval', 'p', 'p (Holm)'];
  return [
    '',
    markdownTable(severalTasks ? [...head, '95 % interval over tasks'] : head, rows),
    '',
    `Differences of runs with the same task and seed; BCa bootstrap interval of their mean, sign-flip test, and its p raised for ${pairs.length} comparisons (Holm).`,
    ...(severalTasks
      ? ['The last interval takes each task’s mean as one observation: it says what other tasks would give.']
      : []),
  ];
}

function told({ summary, interval, test }: PairedComparison): [points: string, interval: string, p: string] {
  const signed = (value: number) => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(2)}`;
  const bounds = interval ? `${signed(interval.low)} to ${signed(interval.high)}` : '–';
  return [signed(summary.mean), bounds, summary.n === 1 ? '–' : test.p.toFixed(3)];
}

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
