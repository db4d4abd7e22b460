/**
 * Heads that fit what they will read: starting values computed from the features of the training images, in float64.
 *
 * Both kinds end with a factor on their logits. It, and what else is chosen, makes the cross-entropy smallest that images
 * have when each is left out of the fit, so that a head which has seen the images is not taken for sure of them.
 */
import { cholesky, choleskySolve, dot, forwardSubstitution } from './cholesky.js';

export interface Examples {
  /** A row for each image [N, D]. */
  readonly features: Float32Array;
  readonly labels: ArrayLike<number>;
  readonly classes: number;
}

export interface FittedHead {
  /** [K, D] */
  readonly weight: Float32Array;
  /** [K] */
  readonly bias: Float32Array;
  /** On the logits. */
  readonly factor: number;
  /** Of ridge regression. */
  readonly lambda?: number;
}

/** Images that are left out one by one, at most: evenly spaced ones. */
const LEFT_OUT = 500;
/** No factor is larger: features that tell all training images apart would have it grow without end. */
const MAX_FACTOR = 30;
/** λ in shares of the mean variance of a feature, times N. */
const LAMBDAS = [1e-3, 1e-2, 1e-1, 1, 10, 100];

/**
 * The class's mean direction: with features x less their mean μ, z = (x − μ)/‖x − μ‖ and m_k the normalised mean of class
 * k's z, the logits are factor·m_k·(x − μ)/ρ, where ρ is the mean of ‖x − μ‖. A class without images has 0.
 *
 * @see Qi, Brown, Lowe 2018, arXiv:1712.07136 (imprinted weights)
 */
export function classMeans(examples: Examples): FittedHead {
  const { labels, classes } = examples;
  const { rows, mean, count, width } = centred(examples);
  const lengths = Array.from({ length: count }, (_, i) => normOf(rows.subarray(i * width, (i + 1) * width)));
  const usual = lengths.reduce((sum, length) => sum + length, 0) / count || 1;
  const directions = rows.map((value, at) => value / (lengths[Math.floor(at / width)]! || 1));
  const row = (image: number) => directions.subarray(image * width, (image + 1) * width);
  const sums = Array.from({ length: classes }, () => new Float64Array(width));
  for (let i = 0; i < count; i++) addScaled(sums[labels[i]!]!, row(i), 1);
  const means = sums.map(normalised);

  const looked = spaced(count);
  const without = looked.map((i) => {
    const own = normalised(addScaled(sums[labels[i]!]!.slice(), row(i), -1));
    return Float64Array.from(means, (other, k) => dot(k === labels[i] ? own : other, row(i)));
  });
  const { factor } = bestFactor(
    without,
    looked.map((i) => labels[i]!),
  );
  return toHead(
    means.map((one) => one.map((value) => value / usual)),
    means.map(() => 0),
    mean,
    factor,
  );
}

/**
 * Ridge regression to one-hot targets Y, with an intercept that costs nothing: of features X and targets less their means,
 * W = (XᵀX + λI)⁻¹XᵀY, and the logits are factor·(ȳ + Wᵀ(x − μ)).
 *
 * An image's prediction by the regression that was made without it follows from that with all:
 * (ŷ − h·y)/(1 − h) with h = 1/N + (x − μ)ᵀ(XᵀX + λI)⁻¹(x − μ).
 *
 * @see Hoerl and Kennard 1970; Allen 1974 (PRESS) for the prediction without an image
 */
export function ridge(examples: Examples): FittedHead {
  const { labels, classes } = examples;
  const { rows, mean, count, width } = centred(examples);
  const row = (image: number) => rows.subarray(image * width, (image + 1) * width);
  const gram = new Float64Array(width * width);
  const products = Array.from({ length: classes }, () => new Float64Array(width)); // XᵀY: as the rows sum to 0, Y needs no mean
  const shares = new Array<number>(classes).fill(0);
  for (let i = 0; i < count; i++) {
    addOuter(gram, row(i));
    addScaled(products[labels[i]!]!, row(i), 1);
    shares[labels[i]!]! += 1 / count;
  }
  let trace = 0;
  for (let d = 0; d < width; d++) trace += gram[d * width + d]!;

  const looked = spaced(count);
  const targets = looked.map((i) => labels[i]!);
  let best: { entropy: number; factor: number; lambda: number; weights: Float64Array[] } | null = null;
  for (const share of LAMBDAS) {
    const lambda = (share * trace) / width || 1;
    const shifted = gram.slice();
    for (let d = 0; d < width; d++) shifted[d * width + d]! += lambda;
    const lower = cholesky(shifted, width);
    const weights = products.map((product) => choleskySolve(lower, product.slice()));
    const without = looked.map((i) => {
      const solved = forwardSubstitution(lower, row(i).slice());
      const h = Math.min(1 / count + dot(solved, solved), 1 - 1e-9);
      return Float64Array.from(weights, (w, k) => (shares[k]! + dot(w, row(i)) - (k === labels[i] ? h : 0)) / (1 - h));
    });
    const found = { ...bestFactor(without, targets), lambda, weights };
    if (best === null || found.entropy < best.entropy) best = found;
  }
  const { factor, lambda, weights } = best!;
  return { ...toHead(weights, shares, mean, factor), lambda };
}

/** Float32 rows w_k and biases b_k − w_k·μ, times the factor. */
function toHead(weights: readonly Float64Array[], biases: readonly number[], mean: Float64Array, factor: number) {
  const width = mean.length;
  const weight = new Float32Array(weights.length * width);
  for (const [k, w] of weights.entries()) for (let d = 0; d < width; d++) weight[k * width + d] = factor * w[d]!;
  const bias = Float32Array.from(weights, (w, k) => factor * (biases[k]! - dot(w, mean)));
  return { weight, bias, factor };
}

/** The factor from 1 to the largest that makes the mean cross-entropy of these logits smallest, in which it is convex. */
function bestFactor(logits: readonly Float64Array[], labels: readonly number[]): { factor: number; entropy: number } {
  const at = (factor: number) => {
    let [entropy, slope] = [0, 0];
    for (const [i, row] of logits.entries()) {
      const own = row[labels[i]!]!;
      let [total, weighted] = [0, 0];
      for (const value of row) {
        const share = Math.exp(factor * (value - own));
        total += share;
        weighted += share * (value - own);
      }
      entropy += Math.log(total) / logits.length;
      slope += weighted / total;
    }
    return { factor, entropy, slope };
  };
  let [low, high] = [1, MAX_FACTOR];
  for (let round = 0; round < 20; round++) {
    const middle = (low + high) / 2;
    if (at(middle).slope < 0) low = middle;
    else high = middle;
  }
  return at((low + high) / 2);
}

/** Features less their mean. */
function centred({ features, labels }: Examples) {
  const count = labels.length;
  const width = features.length / count;
  const mean = new Float64Array(width);
  for (let i = 0; i < features.length; i++) mean[i % width]! += features[i]! / count;
  const rows = Float64Array.from(features, (value, i) => value - mean[i % width]!);
  return { rows, mean, count, width };
}

/** Evenly spaced positions, from the first on: all where there are few. */
function spaced(count: number): number[] {
  const looked = Math.min(count, LEFT_OUT);
  return Array.from({ length: looked }, (_, i) => Math.floor((i * count) / looked));
}

const normOf = (a: Float64Array): number => Math.sqrt(dot(a, a));

/** Of length 1; 0 stays 0. */
function normalised(a: Float64Array): Float64Array {
  const length = normOf(a);
  return length < 1e-12 ? a.map(() => 0) : a.map((value) => value / length);
}

function addScaled(sum: Float64Array, term: Float64Array, factor: number): Float64Array {
  for (let i = 0; i < sum.length; i++) sum[i]! += factor * term[i]!;
  return sum;
}

/** The lower half of x·xᵀ. */
function addOuter(sum: Float64Array, x: Float64Array): void {
  const n = x.length;
  for (let i = 0; i < n; i++) {
    const value = x[i]!;
    for (let j = 0; j <= i; j++) sum[i * n + j]! += value * x[j]!;
  }
}
