/** What a sample says of a share. */
import type { Interval } from './bootstrap.js';

/** Quantile of the normal distribution that leaves 2.5 % above it. */
const Z_95 = 1.959963984540054;

/**
 * In what bounds a share lies of which a sample is known: the 95 % score interval of Wilson (JASA 22, 1927), which keeps
 * within 0 and 1 and holds for samples of a few as well.
 *
 * @param correct how many of the sample
 * @param total size of the sample, at least 1
 */
export function wilson(correct: number, total: number): Interval {
  const share = correct / total;
  const spread = Z_95 ** 2 / total;
  const centre = share + spread / 2;
  const half = Math.sqrt(spread * (share * (1 - share) + spread / 4));
  // at the ends it is exact, which rounding need not leave it
  return {
    low: correct === 0 ? 0 : (centre - half) / (1 + spread),
    high: correct === total ? 1 : (centre + half) / (1 + spread),
    level: 0.95,
  };
}
