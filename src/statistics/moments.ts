/** What a distribution of many numbers looks like, in moments. */

export interface Moments {
  readonly n: number;
  readonly mean: number;
  /** Of the numbers themselves, all there are: with n below. */
  readonly std: number;
  /** m₃/m₂^{3/2}: 0 where symmetric, null where all are equal. */
  readonly skewness: number | null;
  /** m₄/m₂² − 3: 0 for a normal distribution, above where tails are heavier; null where all are equal. */
  readonly excessKurtosis: number | null;
  readonly lowest: number;
  readonly highest: number;
}

/**
 * Central moments m_k = (1/n) Σ (x − mean)^k, summed in float64 in two passes: SciPy's `skew` and `kurtosis` with `bias=True`.
 * @param values at least one
 */
export function moments(values: ArrayLike<number>): Moments {
  const n = values.length;
  let sum = 0;
  let lowest = Infinity;
  let highest = -Infinity;
  for (let i = 0; i < n; i++) {
    const value = values[i]!;
    sum += value;
    if (value < lowest) lowest = value;
    if (value > highest) highest = value;
  }
  const centre = sum / n;
  let [second, third, fourth] = [0, 0, 0];
  for (let i = 0; i < n; i++) {
    const d = values[i]! - centre;
    second += d * d;
    third += d * d * d;
    fourth += d * d * d * d;
  }
  [second, third, fourth] = [second / n, third / n, fourth / n];
  const varies = highest > lowest;
  return {
    n,
    mean: centre,
    std: Math.sqrt(second),
    skewness: varies ? third / second ** 1.5 : null,
    excessKurtosis: varies ? fourth / second ** 2 - 3 : null,
    lowest,
    highest,
  };
}

/** How many of the values lie within `bound` of 0, as a share of all. @param values at least one */
export function shareNearZero(values: ArrayLike<number>, bound: number): number {
  let near = 0;
  for (let i = 0; i < values.length; i++) if (Math.abs(values[i]!) <= bound) near++;
  return near / values.length;
}

/**
 * Counts in bins of equal width from `from` to `to`. What lies outside is counted in the outermost bin, so that counts add up.
 * @param bins how many, at least one
 */
export function histogram(values: ArrayLike<number>, from: number, to: number, bins: number): number[] {
  const counts = new Array<number>(bins).fill(0);
  for (let i = 0; i < values.length; i++) {
    const bin = Math.floor(((values[i]! - from) / (to - from)) * bins);
    counts[Math.min(Math.max(bin, 0), bins - 1)]!++;
  }
  return counts;
}
