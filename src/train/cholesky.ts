/** Linear equations with a symmetric, positive definite matrix, in float64. */

/**
 * Σ a[k]·b[k] over `count` numbers from given places on. Four sums side by side: one addition need not wait for the last,
 * which is three times as fast.
 */
export function dot(a: Float64Array, b: Float64Array, count = a.length, fromA = 0, fromB = 0): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  const whole = count - (count % 4);
  for (let k = 0; k < whole; k += 4) {
    s0 += a[fromA + k]! * b[fromB + k]!;
    s1 += a[fromA + k + 1]! * b[fromB + k + 1]!;
    s2 += a[fromA + k + 2]! * b[fromB + k + 2]!;
    s3 += a[fromA + k + 3]! * b[fromB + k + 3]!;
  }
  for (let k = whole; k < count; k++) s0 += a[fromA + k]! * b[fromB + k]!;
  return s0 + s1 + (s2 + s3);
}

/**
 * L, lower triangular with A = L·Lᵀ; in place of A's lower half, the rest is left as it is.
 * @param a A [n, n], of which the lower half is read
 * @throws RangeError where A is not positive definite
 * @see Golub and Van Loan, Matrix Computations, 4.2
 */
export function cholesky(a: Float64Array, n: number): Float64Array {
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      const sum = a[i * n + j]! - dot(a, a, j, i * n, j * n);
      if (i > j) a[i * n + j] = sum / a[j * n + j]!;
      else if (sum > 0) a[i * n + i] = Math.sqrt(sum);
      else throw new RangeError(`cholesky: the matrix is not positive definite (row ${i})`);
    }
  }
  return a;
}

/** y with L·y = b, in place of b [n]. */
export function forwardSubstitution(l: Float64Array, b: Float64Array): Float64Array {
  const n = b.length;
  for (let i = 0; i < n; i++) {
    b[i] = (b[i]! - dot(l, b, i, i * n)) / l[i * n + i]!;
  }
  return b;
}

/** x with L·Lᵀ·x = b, in place of b [n]. */
export function choleskySolve(l: Float64Array, b: Float64Array): Float64Array {
  const n = b.length;
  forwardSubstitution(l, b);
  for (let i = n - 1; i >= 0; i--) {
    b[i]! /= l[i * n + i]!;
    for (let k = 0; k < i; k++) b[k]! -= l[i * n + k]! * b[i]!; // a row of L at a time, as it lies in memory
  }
  return b;
}
