/**
 * The runs of a sweep as numbers: a line each setting, and what may be said of the differences that the plan asks for. Tables
 * and pictures of sweeps are made of these.
 */
import { comparePaired, holm, type Measured, mean, type PairedComparison } from '../statistics/index.js';

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
export interface SweepLine<Run extends SweptRun = SweptRun> {
  /** The row's name, where one setting alone is of that row. */
  readonly label: string;
  /** As its folders are called. */
  readonly folder: string;
  readonly row: string | null;
  readonly paperRow: number | null;
  readonly runs: readonly Run[];
}

/** In the order of the paper's rows where they have one, and otherwise as they came. */
export function linesOf<Run extends SweptRun>(results: readonly Run[]): SweepLine<Run>[] {
  const byFolder = new Map<string, Run[]>();
  for (const run of results) {
    const folder = run.name.split('/')[1] ?? run.name;
    byFolder.set(folder, [...(byFolder.get(folder) ?? []), run]);
  }
  const rowOf = (runs: readonly Run[]) => runs[0]!.row ?? null;
  const rows = [...byFolder.values()].map(rowOf);
  const lines = [...byFolder].map(([folder, runs]) => {
    const row = rowOf(runs);
    const alone = row !== null && rows.filter((other) => other === row).length === 1;
    return { label: alone ? row : folder, folder, runs, row, paperRow: runs[0]!.paperRow ?? null };
  });
  return lines.sort((a, b) => (a.paperRow ?? Number.MAX_VALUE) - (b.paperRow ?? Number.MAX_VALUE));
}

/** Of a line's runs on a task, in per cent. */
export const ofTask = ({ runs }: SweepLine, task: string): number[] =>
  runs.filter((run) => run.task === task).map(({ accuracy }) => 100 * accuracy);

/** The mean over all tasks, in per cent, for each seed that has them all. */
export function meansOfSeeds({ runs }: SweepLine, tasks: readonly string[]): number[] {
  const seeds = [...new Set(runs.map(({ seed }) => seed))];
  const all = seeds
    .map((seed) => runs.filter((run) => run.seed === seed))
    .filter(({ length }) => length === tasks.length);
  return all.map((one) => mean(one.map(({ accuracy }) => 100 * accuracy)));
}

/** A row, and the one it is held against. */
type Contrast = readonly [of: SweepLine, against: SweepLine];

function contrasts(lines: readonly SweepLine[], against: SweptRuns['plan']['against']): Contrast[] {
  if (against === undefined) return [];
  const called = (name: string) => lines.find(({ row, folder }) => name === row || name === folder);
  const base = typeof against === 'string' ? called(against) : undefined;
  const wanted: [SweepLine | undefined, SweepLine | undefined][] =
    typeof against === 'string'
      ? lines.filter((line) => line !== base).map((line) => [line, base])
      : Object.entries(against).map(([of, other]) => [called(of), called(other)]);
  return wanted.filter((pair): pair is [SweepLine, SweepLine] => pair[0] !== undefined && pair[1] !== undefined);
}

/** One line less another, over the tasks and seeds that both have; accuracies in per cent. */
export interface SweepDifference {
  readonly of: SweepLine;
  readonly against: SweepLine;
  /** What other seeds would give on these tasks. */
  readonly byRun: PairedComparison;
  /** What other tasks would give. */
  readonly byTask: PairedComparison;
  /** p of `byRun` for as many differences as there are. */
  readonly adjusted: number;
}

/** The differences that a plan asks for, of lines that share runs. */
export function differencesOf(lines: readonly SweepLine[], against: SweptRuns['plan']['against']): SweepDifference[] {
  const measured = ({ runs }: SweepLine): Measured[] =>
    runs.map(({ task, seed, accuracy }) => ({ task, seed, value: 100 * accuracy }));
  const shareRuns = ([of, other]: Contrast) =>
    of.runs.some((one) => other.runs.some(({ task, seed }) => task === one.task && seed === one.seed));
  const compared = contrasts(lines, against)
    .filter(shareRuns)
    .map(([of, other]) => ({
      of,
      against: other,
      byRun: comparePaired(measured(other), measured(of)),
      byTask: comparePaired(measured(other), measured(of), { unit: 'task' }),
    }));
  const adjusted = holm(compared.map(({ byRun }) => byRun.test.p));
  return compared.map((one, i) => ({ ...one, adjusted: adjusted[i]! }));
}
