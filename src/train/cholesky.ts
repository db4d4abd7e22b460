/** Linear equations with a symmetric, positive definite matrix, in float64. */

/**
 * L, lower triangular with A = L·Lᵀ; in place of A's lower half, the rest is left as it is.
 * @param a A [n, n], of which the lower half is read
 * @throws RangeError where A is not positive definite
 * @see Golub and Van Loan, Matrix Computations, 4.2
 */
export function cholesky(a: Float64Array, n: number): Float64Array {
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * n + j]!;
      for (let k = 0; k < j; k++) sum -= a[i * n + k]! * a[j * n + k]!;
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
    let sum = b[i]!;
    for (let k = 0; k < i; k++) sum -= l[i * n + k]! * b[k]!;
    b[i] = sum / l[i * n + i]!;
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
