/** Runs held against each other, whoever made them: in what they differ, and how far apart they come out. */
import { canonical, type FineTuneSettings, resultSettings, variantName } from '../settings/config.js';
import type { FieldName } from '../settings/fields.js';
import { compareWithHolm, type Interval, type Measured, mean, standardDeviation } from '../statistics/index.js';
import { lastName } from './repeat-command.js';

/** A run, as far as it is compared. */
export interface ComparableRun {
  readonly name: string;
  readonly settings: FineTuneSettings;
  /** Top-1 on the test images; null where it has not ended. */
  readonly accuracy: number | null;
}

/** A setting that is not the same in all runs, with each run's value in words; null where it means nothing there. */
export interface DifferingSetting {
  readonly name: FieldName;
  readonly values: readonly (string | null)[];
}

/** Runs that differ in task and seed alone. */
export interface ComparedRow {
  /** Their settings where they differ from other rows, or what they are called. */
  readonly label: string;
  readonly runs: readonly string[];
  readonly tasks: number;
  readonly seeds: number;
  /** Over the finished ones; null where there is none, `std` where there is one. */
  readonly mean: number | null;
  readonly std: number | null;
  /** Against the row that is named; null of that row, and where the two have no task and seed in common. */
  readonly difference: PairedDifference | null;
}

export interface PairedDifference {
  readonly pairs: number;
  readonly mean: number;
  /** 95 %, BCa bootstrap over pairs of the same task and seed; null of one pair. */
  readonly interval: Interval | null;
  /** Sign-flip test, and Holm's over all rows. */
  readonly p: number;
  readonly holmP: number;
  /** Each pair. */
  readonly values: readonly { readonly task: string; readonly seed: number | null; readonly value: number }[];
}

export interface RunComparison {
  readonly differing: readonly DifferingSetting[];
  /** In the order of their first runs. */
  readonly rows: readonly ComparedRow[];
  /** Label of the row that others are held against. */
  readonly against: string | null;
  /** What has to be known, a sentence each. */
  readonly notes: readonly string[];
}

/** What makes no row: the same training on other images or with other draws. */
const NO_ROW = new Set<string>(['data', 'seed', 'splitSeed']);

/** @param against label of a row; default: the first one */
export function compareRuns(runs: readonly ComparableRun[], against?: string): RunComparison {
  const differing = differingOf(runs);
  const told = differing.filter(({ name }) => !NO_ROW.has(name));
  const groups = rowsOf(runs, told);
  const base = groups.find(({ label }) => label === against) ?? groups[0];
  const measured = new Map(groups.map(({ label, members }) => [label, measuredOf(members)]));
  const baseline = base ? measured.get(base.label)!.values : [];
  const others = Object.fromEntries(
    groups
      .filter((row) => row !== base && inCommon(baseline, measured.get(row.label)!.values))
      .map(({ label }) => [label, measured.get(label)!.values]),
  );
  const compared = Object.keys(others).length > 0 ? compareWithHolm(baseline, others) : {};
  const differenceOf = (label: string): PairedDifference | null => {
    const found = compared[label];
    if (!found) return null;
    const { pairs, summary, interval, test, holmP, differences } = found;
    return { pairs, mean: summary.mean, interval, p: test.p, holmP, values: differences };
  };
  const rows = groups.map(({ label, members }) => {
    const { values } = measured.get(label)!;
    const accuracies = values.map(({ value }) => value);
    return {
      label,
      runs: members.map(({ name }) => name),
      tasks: new Set(members.map(({ settings }) => taskOf(settings))).size,
      seeds: new Set(members.map(({ settings }) => settings.seed)).size,
      mean: accuracies.length > 0 ? mean(accuracies) : null,
      std: accuracies.length > 0 ? standardDeviation(accuracies) : null,
      difference: differenceOf(label),
    };
  });
  return { differing, rows, against: base?.label ?? null, notes: notesOf(runs, groups, measured) };
}

/** The data set by its name. */
export const taskOf = ({ data }: Pick<FineTuneSettings, 'data'>): string => lastName(data).replace(/\.zip$/i, '');

function differingOf(runs: readonly ComparableRun[]): DifferingSetting[] {
  const all = runs.map(({ settings }) => resultSettings(settings));
  const names = [...new Set(all.flatMap((one) => Object.keys(one) as FieldName[]))];
  return names.flatMap((name) => {
    const texts = all.map((one) => (name in one ? canonical(one[name]) : null));
    // what means something under a teacher alone does not differ from none: the teacher does
    if (new Set(texts.filter((text) => text !== null)).size < 2) return [];
    return [{ name, values: all.map((one) => (name in one ? inWords(name, one[name]) : null)) }];
  });
}

function inWords(name: FieldName, value: unknown): string {
  if (value === null || value === undefined) return 'none';
  if (name === 'data') return taskOf({ data: String(value) });
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.join(', ');
  if (typeof value === 'object') {
    return (
      Object.entries(value)
        .map(([option, one]) => `${option}=${one}`)
        .join(' ') || 'none'
    );
  }
  return typeof value === 'boolean' ? (value ? 'yes' : 'no') : lastName(String(value));
}

interface Group {
  readonly label: string;
  readonly members: readonly ComparableRun[];
}

/** What a variant's name says already. */
const IN_VARIANT = new Set<string>(['method', 'teacher', 'distill', 'teacherMethod', 'teacherOptions', 'options']);

function rowsOf(runs: readonly ComparableRun[], differing: readonly DifferingSetting[]): Group[] {
  const byKey = new Map<string, ComparableRun[]>();
  for (const run of runs) {
    const own = Object.entries(resultSettings(run.settings)).filter(([name]) => !NO_ROW.has(name));
    const key = canonical(Object.fromEntries(own));
    byKey.set(key, [...(byKey.get(key) ?? []), run]);
  }
  const groups = [...byKey.values()];
  const short = groups.map(([first]) => labelOf(first!, runs, differing, IN_VARIANT));
  const clear = new Set(short).size === groups.length;
  return groups.map((members, i) => ({
    label: clear ? short[i]! : labelOf(members[0]!, runs, differing, new Set()),
    members,
  }));
}

/** `iDAT-PS-mse, lr 0.003`. @param left settings that are left out */
function labelOf(
  run: ComparableRun,
  runs: readonly ComparableRun[],
  differing: readonly DifferingSetting[],
  left: ReadonlySet<string>,
): string {
  const at = runs.indexOf(run);
  const told = differing.flatMap(({ name, values }) =>
    left.has(name) || values[at] === null ? [] : [`${name} ${values[at]}`],
  );
  return [variantName(run.settings), ...told].join(', ');
}

/** One value for each task and seed: the first where a run was made twice. */
function measuredOf(members: readonly ComparableRun[]): { values: Measured[]; twice: string[] } {
  const values = new Map<string, Measured>();
  const twice: string[] = [];
  for (const { name, settings, accuracy } of members) {
    if (accuracy === null) continue;
    const one = { task: taskOf(settings), seed: settings.seed, value: accuracy };
    const key = JSON.stringify([one.task, one.seed]);
    if (values.has(key)) twice.push(name);
    else values.set(key, one);
  }
  return { values: [...values.values()], twice };
}

const inCommon = (a: readonly Measured[], b: readonly Measured[]): boolean =>
  a.some((one) => b.some(({ task, seed }) => task === one.task && seed === one.seed));

function notesOf(
  runs: readonly ComparableRun[],
  groups: readonly Group[],
  measured: ReadonlyMap<string, { readonly values: readonly Measured[]; readonly twice: readonly string[] }>,
): string[] {
  const open = runs.filter(({ accuracy }) => accuracy === null).length;
  const twice = [...measured.values()].flatMap((one) => one.twice);
  const protocols = new Set(runs.map(({ settings }) => settings.protocol));
  const pairs = groups.length > 1 && [...measured.values()].some(({ values }) => values.length < 2);
  return [
    ...(open > 0 ? [`${open} of ${runs.length} runs have not ended, and are in the curves alone.`] : []),
    ...(twice.length > 0 ? [`Made twice with the same task and seed, and counted once: ${twice.join(', ')}.`] : []),
    ...(protocols.size > 1 ? ['These runs report different epochs (protocol), which makes some look better.'] : []),
    ...(pairs ? ['One run says nothing of what another seed would give: train with more seeds.'] : []),
  ];
}
