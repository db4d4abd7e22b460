/**
 * How strange an image is to a classifier: the free energy of its logits, and which energies images of the right kind have.
 *
 * @see Liu et al. 2020, Energy-based Out-of-distribution Detection, NeurIPS: −E(x) = log Σ_k exp(logit_k)
 */

/** log Σ_k exp(logit_k): large for images like those of the training, small for strange ones. */
export function familiarity(logits: ArrayLike<number>): number {
  let largest = -Infinity;
  for (let k = 0; k < logits.length; k++) largest = Math.max(largest, logits[k]!);
  let sum = 0;
  for (let k = 0; k < logits.length; k++) sum += Math.exp(logits[k]! - largest);
  return largest + Math.log(sum);
}

/** Shares of images that lie below each number of `Familiarities`. */
export const FAMILIARITY_SHARES = [0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5] as const;

/** How familiar images of a data set are to a model. */
export interface Familiarities {
  /** The numbers below which each of `FAMILIARITY_SHARES` of them lie. */
  readonly quantiles: readonly number[];
  /** Whether the model was trained on them, so that it may know them better than any others of their kind. */
  readonly trainedOn: boolean;
}

/** The quantiles of so many images, whatever their order. @param values one for each image, at least one */
export function familiarityQuantiles(values: ArrayLike<number>): number[] {
  const sorted = Float64Array.from(values).sort();
  return FAMILIARITY_SHARES.map((share) => Number(between(sorted, share * (sorted.length - 1)).toPrecision(7)));
}

/**
 * The familiarity that a share of images reaches.
 * @param keep the share, from 0.5 to 1
 */
export function thresholdFor({ quantiles }: Familiarities, keep: number): number {
  const below = Math.max(0, 1 - keep);
  const next = FAMILIARITY_SHARES.findIndex((share) => share >= below - 1e-9);
  const [from, to] = [FAMILIARITY_SHARES[Math.max(0, next - 1)]!, FAMILIARITY_SHARES[next]!];
  const part = to === from ? 0 : (below - from) / (to - from);
  return between(quantiles, Math.max(0, next - 1) + Math.min(1, Math.max(0, part)));
}

/** The value at a position between two others, on the line through them. */
function between(sorted: ArrayLike<number>, at: number): number {
  const low = Math.floor(at);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low]! + (at - low) * (sorted[high]! - sorted[low]!);
}
