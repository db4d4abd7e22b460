/** Several readings of one thing in a few numbers. */

export interface Spread {
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
}

/** @param values at least one */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** @param values at least one */
export const spread = (values: readonly number[]): Spread => ({
  median: median(values),
  lowest: Math.min(...values),
  highest: Math.max(...values),
});

/** @param values at least one */
export const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** Of a sample, with n − 1 below; null for a single value, which tells nothing of how values differ. */
export function standardDeviation(values: readonly number[]): number | null {
  if (values.length < 2) return null;
  const centre = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1));
}

/** A number that was measured several times. */
export interface Summary extends Spread {
  readonly n: number;
  readonly mean: number;
  /** With n − 1 below; null where n is 1. */
  readonly std: number | null;
  /** Highest less lowest. */
  readonly range: number;
}

/** @param values at least one */
export function summarise(values: readonly number[]): Summary {
  const { lowest, highest, median } = spread(values);
  const std = standardDeviation(values);
  return { n: values.length, mean: mean(values), std, median, lowest, highest, range: highest - lowest };
}

/** What a table must say of numbers that were measured once; null where there are more. @param n runs behind each number */
export const singleRunWarning = (n: number): string | null =>
  n > 1 ? null : 'Warning: one run (n = 1) behind each number: how much runs differ by chance is not known.';

/**
 * The value below which a share of the values lies, between two neighbours in proportion (NumPy's `linear`, type 7 of Hyndman
 * and Fan 1996).
 *
 * @param sorted ascending, at least one
 * @param share from 0 to 1
 */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  const at = share * (sorted.length - 1);
  const below = Math.min(Math.floor(at), sorted.length - 1);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below]! + (at - below) * (sorted[above]! - sorted[below]!);
}
