/**
 * How far a mean might lie from the one measured: the bias-corrected and accelerated bootstrap.
 *
 * @see Efron 1987, "Better Bootstrap Confidence Intervals", JASA 82, sections 3 and 6
 */
import { randomStream } from '../random.js';
import { normalCdf, normalQuantile } from './normal.js';
import { mean, quantile } from './summary.js';

export interface Interval {
  readonly low: number;
  readonly high: number;
  /** Such as 0.95. */
  readonly level: number;
}

export interface BootstrapOptions {
  /** Default 0.95. */
  readonly level?: number;
  /** Samples drawn; default 10,000. */
  readonly resamples?: number;
  /** Default 0. The same seed gives the same interval. */
  readonly seed?: number;
}

/** Means of as many samples of the values' own number, drawn with replacement. */
export function bootstrapMeans(values: readonly number[], resamples: number, seed: number): Float64Array {
  const random = randomStream(seed, 'bootstrap', values.length);
  return Float64Array.from({ length: resamples }, () => {
    let sum = 0;
    for (let i = 0; i < values.length; i++) sum += values[random.below(values.length)]!;
    return sum / values.length;
  });
}

/** The BCa interval of the mean; null for a single value, which no resampling can vary. */
export function bootstrapInterval(
  values: readonly number[],
  { level = 0.95, resamples = 10_000, seed = 0 }: BootstrapOptions = {},
): Interval | null {
  if (values.length < 2) return null;
  return bcaInterval(values, bootstrapMeans(values, resamples, seed), level);
}

/**
 * The BCa interval of the mean from a bootstrap distribution: its quantiles at Φ(z₀ + (z₀ + z_α)/(1 − a(z₀ + z_α))).
 *
 * z₀, the bias, comes from the share of resampled means below the mean (of equal ones, half); a, the acceleration, from the
 * skewness of the means that lack one value each.
 *
 * @param values at least two
 */
export function bcaInterval(values: readonly number[], distribution: ArrayLike<number>, level: number): Interval {
  const sorted = Float64Array.from(distribution).sort();
  const bias = biasOf(sorted, mean(values));
  const a = accelerationOf(values);
  const at = (tail: number) => {
    const z = bias + normalQuantile(tail);
    return quantile(sorted, normalCdf(bias + z / (1 - a * z)));
  };
  return { low: at((1 - level) / 2), high: at((1 + level) / 2), level };
}

function biasOf(distribution: Float64Array, observed: number): number {
  const B = distribution.length;
  const half = distribution.reduce((sum, value) => sum + (value < observed ? 1 : value === observed ? 0.5 : 0), 0);
  // where all samples lie on one side the bias is not known but that it is large
  return normalQuantile(Math.min(Math.max(half / B, 0.5 / B), 1 - 0.5 / B));
}

/** Σ u³ / (6 (Σ u²)^{3/2}) with u = the mean of the means without one value, less each of them. 0 where all are equal. */
function accelerationOf(values: readonly number[]): number {
  const total = values.reduce((a, b) => a + b, 0);
  const without = values.map((value) => (total - value) / (values.length - 1));
  const centre = mean(without);
  const squares = without.reduce((sum, value) => sum + (centre - value) ** 2, 0);
  const cubes = without.reduce((sum, value) => sum + (centre - value) ** 3, 0);
  return squares === 0 ? 0 : cubes / (6 * squares ** 1.5);
}
