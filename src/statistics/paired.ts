/** Two ways of training, each tried on the same tasks with the same seeds. */
import { IdatError } from '../errors.js';
import { type BootstrapOptions, bootstrapInterval, type Interval } from './bootstrap.js';
import { holm } from './holm.js';
import { type SignFlipTest, signFlipTest } from './sign-flip.js';
import { mean, type Summary, summarise } from './summary.js';

/** A number measured on a task with a seed, such as an accuracy. */
export interface Measured {
  readonly task: string;
  readonly seed: number;
  readonly value: number;
}

/**
 * What counts as one observation: each pair of runs (what would other seeds give on these tasks?), or each task's mean over its
 * seeds (what would other tasks give?). Pairs on one task resemble each other, so that they say less of other tasks than
 * their number.
 */
export type Unit = 'pair' | 'task';

export interface PairedOptions extends BootstrapOptions {
  /** Default: `pair`. */
  readonly unit?: Unit;
}

export interface PairedComparison {
  /** How many tasks and seeds have both, and how many pairs that makes. */
  readonly tasks: number;
  readonly pairs: number;
  readonly unit: Unit;
  /** Second less first, of each observation; `seed` is null where it stands for all of a task. */
  readonly differences: readonly { readonly task: string; readonly seed: number | null; readonly value: number }[];
  readonly summary: Summary;
  /** Of the mean difference; null where there is one observation. */
  readonly interval: Interval | null;
  readonly test: SignFlipTest;
}

/**
 * Second less first, over task and seed, with the BCa interval of the mean and the sign-flip test. What only one of the two
 * has is left out.
 * @throws IdatError `statistics.pairs` when they have no task and seed in common, or one has such a pair twice
 */
export function comparePaired(
  first: readonly Measured[],
  second: readonly Measured[],
  { unit = 'pair', ...options }: PairedOptions = {},
): PairedComparison {
  const before = byTaskAndSeed(first, 'first');
  const after = byTaskAndSeed(second, 'second');
  const pairs = [...after]
    .filter(([key]) => before.has(key))
    .map(([key, { task, seed, value }]) => ({ task, seed, value: value - before.get(key)!.value }));
  if (pairs.length === 0) {
    throw new IdatError('statistics.pairs', 'nothing to compare: no task and seed is in both; run both with the same');
  }
  const tasks = [...new Set(pairs.map(({ task }) => task))];
  const ofTask = (name: string) => pairs.filter(({ task }) => task === name).map(({ value }) => value);
  const differences = unit === 'pair' ? pairs : tasks.map((task) => ({ task, seed: null, value: mean(ofTask(task)) }));
  const values = differences.map(({ value }) => value);
  return {
    tasks: tasks.length,
    pairs: pairs.length,
    unit,
    differences,
    summary: summarise(values),
    interval: bootstrapInterval(values, options),
    test: signFlipTest(values, options.seed === undefined ? {} : { seed: options.seed }),
  };
}

function byTaskAndSeed(measured: readonly Measured[], which: string): Map<string, Measured> {
  const found = new Map<string, Measured>();
  for (const one of measured) {
    const key = JSON.stringify([one.task, one.seed]);
    if (found.has(key)) {
      const what = `the ${which} has task ${one.task} with seed ${one.seed} twice`;
      throw new IdatError('statistics.pairs', `${what}; keep one of them`);
    }
    found.set(key, one);
  }
  return found;
}

/** Several against one, such as each loss against none: their comparisons, each with Holm's p over all of them. */
export function compareWithHolm<Name extends string>(
  baseline: readonly Measured[],
  others: Readonly<Record<Name, readonly Measured[]>>,
  options: PairedOptions = {},
): Record<Name, PairedComparison & { readonly holmP: number }> {
  const names = Object.keys(others) as Name[];
  const comparisons = names.map((name) => comparePaired(baseline, others[name], options));
  const adjusted = holm(comparisons.map(({ test }) => test.p));
  const entries = names.map((name, i) => [name, { ...comparisons[i]!, holmP: adjusted[i]! }]);
  return Object.fromEntries(entries) as Record<Name, PairedComparison & { readonly holmP: number }>;
}
