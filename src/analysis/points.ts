/** Features as vectors: N of D numbers. */
import type { RandomStream } from '../random.js';

export type Points = readonly ArrayLike<number>[];

/** Gives other work a turn: maps take seconds, and a program's events should not wait for them. */
export const takeTurn = (): Promise<void> => new Promise((done) => setTimeout(done, 0));

/** Squared Euclidean distances, [N·N] row-major. */
export function squaredDistances(points: Points): Float64Array {
  const N = points.length;
  const D = points[0]!.length;
  const distances = new Float64Array(N * N);
  for (let i = 0; i < N; i++) {
    for (let j = 0; j < i; j++) {
      let sum = 0;
      for (let d = 0; d < D; d++) sum += (points[i]![d]! - points[j]![d]!) ** 2;
      distances[i * N + j] = distances[j * N + i] = sum;
    }
  }
  return distances;
}

/**
 * The points on their first principal axes, by orthogonal iteration. [N][axes]
 * @param random starts it; its end does not depend on it but for signs, which are fixed: each axis's largest entry is positive
 */
export function principalComponents(points: Points, axes: number, random: RandomStream): number[][] {
  const N = points.length;
  const D = points[0]!.length;
  const centre = Array.from({ length: D }, (_, d) => points.reduce((sum, point) => sum + point[d]!, 0) / N);
  const centred = points.map((point) => Float64Array.from(point, (value, d) => value - centre[d]!));
  let basis: Float64Array[] = Array.from({ length: axes }, () =>
    Float64Array.from({ length: D }, () => random.normal()),
  );
  for (let round = 0; round < 100; round++) {
    basis = orthonormal(
      basis.map((axis) => {
        const next = new Float64Array(D);
        for (const point of centred) {
          const along = dot(point, axis);
          for (let d = 0; d < D; d++) next[d]! += along * point[d]!;
        }
        return next;
      }),
    );
  }
  for (const axis of basis) {
    const largest = axis.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
    if (largest < 0) for (let d = 0; d < D; d++) axis[d] = -axis[d]!;
  }
  return centred.map((point) => basis.map((axis) => dot(point, axis)));
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let d = 0; d < a.length; d++) sum += a[d]! * b[d]!;
  return sum;
}

/** Gram and Schmidt; an axis with nothing of its own becomes 0. */
function orthonormal(axes: readonly Float64Array[]): Float64Array[] {
  const done: Float64Array[] = [];
  for (const axis of axes) {
    const own = Float64Array.from(axis);
    for (const earlier of done) {
      const along = dot(own, earlier);
      for (let d = 0; d < own.length; d++) own[d]! -= along * earlier[d]!;
    }
    const length = Math.sqrt(dot(own, own));
    for (let d = 0; d < own.length; d++) own[d] = length > 1e-12 ? own[d]! / length : 0;
    done.push(own);
  }
  return done;
}
