/**
 * t-SNE, exact: every pair counts. Begins at the first two principal components, so that what lies where has a meaning.
 *
 * @see van der Maaten and Hinton 2008, JMLR 9; Kobak and Berens 2019, Nature Communications 10, for the start; Belkina et al. 2019,
 *   Nature Communications 10, for the learning rate
 */
import { randomStream } from '../random.js';
import { type Points, principalComponents, squaredDistances, takeTurn } from './points.js';

export interface TsneOptions {
  /** About how many neighbours count; bounded by a third of the points. Default 30. */
  readonly perplexity?: number;
  /** Default 750, of which the first 250 with all attractions enlarged. */
  readonly iterations?: number;
  readonly seed?: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (done: number, total: number) => void;
}

const EXAGGERATION = 12;
const EXAGGERATED = 250;
/** Iterations between two looks at the clock. */
const TURN = 10;

/** @param points at least four @returns a place in the plane for each. @throws the signal's reason */
export async function tsne(points: Points, options: TsneOptions = {}): Promise<number[][]> {
  const { perplexity = 30, iterations = 750, seed = 0, signal, onProgress } = options;
  const N = points.length;
  const P = affinities(squaredDistances(points), N, Math.min(perplexity, (N - 1) / 3));
  const Y = startOf(points, seed);
  const velocity = new Float64Array(2 * N);
  const gains = new Float64Array(2 * N).fill(1);
  const rate = Math.max(N / EXAGGERATION / 4, 50);
  for (let i = 0; i < iterations; i++) {
    if (i % TURN === 0) {
      await takeTurn();
      signal?.throwIfAborted();
      onProgress?.(i, iterations);
    }
    const early = i < EXAGGERATED;
    const gradient = tsneGradient(P, Y, early ? EXAGGERATION : 1);
    const momentum = early ? 0.5 : 0.8;
    for (let k = 0; k < Y.length; k++) {
      const turned = gradient[k]! * velocity[k]! < 0;
      gains[k] = Math.max(turned ? gains[k]! + 0.2 : gains[k]! * 0.8, 0.01);
      velocity[k] = momentum * velocity[k]! - rate * gains[k]! * gradient[k]!;
      Y[k]! += velocity[k]!;
    }
  }
  return Array.from({ length: N }, (_, i) => [Y[2 * i]!, Y[2 * i + 1]!]);
}

/** [N·2], the first component with deviation 1e-4. */
function startOf(points: Points, seed: number): Float64Array {
  const components = principalComponents(points, 2, randomStream(seed, 'tsne'));
  const size = Math.sqrt(components.reduce((sum, [x]) => sum + x! * x!, 0) / components.length) || 1;
  return Float64Array.from(components.flat(), (value) => (1e-4 * value) / size);
}

/**
 * P of section 2: symmetric, sums to 1. Each point's Gaussian is as wide as gives it the perplexity.
 * @param distances squared, [N·N]
 */
export function affinities(distances: Float64Array, N: number, perplexity: number): Float64Array {
  const wanted = Math.log(perplexity);
  const P = new Float64Array(N * N);
  const row = new Float64Array(N);
  for (let i = 0; i < N; i++) {
    const own = distances.subarray(i * N, (i + 1) * N);
    let nearest = Infinity;
    for (let j = 0; j < N; j++) if (j !== i && own[j]! < nearest) nearest = own[j]!;
    let [precision, low, high] = [1, 0, Infinity];
    for (let round = 0; round < 100; round++) {
      let [sum, weighted] = [0, 0];
      for (let j = 0; j < N; j++) {
        row[j] = j === i ? 0 : Math.exp(-(own[j]! - nearest) * precision);
        sum += row[j]!;
        weighted += (own[j]! - nearest) * row[j]!;
      }
      for (let j = 0; j < N; j++) row[j]! /= sum;
      const entropy = Math.log(sum) + (precision * weighted) / sum;
      if (Math.abs(entropy - wanted) < 1e-10) break;
      if (entropy > wanted) low = precision;
      else high = precision;
      precision = high === Infinity ? 2 * precision : (low + high) / 2;
    }
    P.set(row, i * N);
  }
  for (let i = 0; i < N; i++) {
    for (let j = 0; j < i; j++) {
      P[i * N + j] = P[j * N + i] = Math.max((P[i * N + j]! + P[j * N + i]!) / (2 * N), 1e-16);
    }
  }
  return P;
}

/**
 * dKL/dy_i = 4 Σ_j (e·p_ij − q_ij)(y_i − y_j)/(1 + |y_i − y_j|²)
 * @param Y [N·2]
 */
export function tsneGradient(P: Float64Array, Y: Float64Array, exaggeration: number): Float64Array {
  const N = Y.length / 2;
  const attraction = new Float64Array(2 * N);
  const repulsion = new Float64Array(2 * N);
  let total = 0;
  for (let i = 0; i < N; i++) {
    const [x, y] = [Y[2 * i]!, Y[2 * i + 1]!];
    for (let j = 0; j < i; j++) {
      const dx = x - Y[2 * j]!;
      const dy = y - Y[2 * j + 1]!;
      const near = 1 / (1 + dx * dx + dy * dy);
      total += 2 * near;
      const pull = P[i * N + j]! * near;
      const push = near * near;
      attraction[2 * i]! += pull * dx;
      attraction[2 * i + 1]! += pull * dy;
      attraction[2 * j]! -= pull * dx;
      attraction[2 * j + 1]! -= pull * dy;
      repulsion[2 * i]! += push * dx;
      repulsion[2 * i + 1]! += push * dy;
      repulsion[2 * j]! -= push * dx;
      repulsion[2 * j + 1]! -= push * dy;
    }
  }
  return attraction.map((pull, k) => 4 * (exaggeration * pull - repulsion[k]! / total));
}

/** KL(P ‖ Q): how far the map is from the points. */
export function tsneDivergence(P: Float64Array, Y: Float64Array): number {
  const N = Y.length / 2;
  const near = (i: number, j: number) => 1 / (1 + (Y[2 * i]! - Y[2 * j]!) ** 2 + (Y[2 * i + 1]! - Y[2 * j + 1]!) ** 2);
  let total = 0;
  for (let i = 0; i < N; i++) for (let j = 0; j < N; j++) if (i !== j) total += near(i, j);
  let sum = 0;
  for (let i = 0; i < N; i++) {
    for (let j = 0; j < N; j++) {
      if (i !== j) sum += P[i * N + j]! * Math.log((P[i * N + j]! * total) / near(i, j));
    }
  }
  return sum;
}
