/** The little matrix arithmetic that merging needs, in float64. */

/** a [m, k] · b [k, n] -> [m, n], row-major. */
export function product(a: ArrayLike<number>, b: ArrayLike<number>, m: number, k: number, n: number): Float64Array {
  const c = new Float64Array(m * n);
  for (let row = 0; row < m; row++) {
    for (let inner = 0; inner < k; inner++) {
      const factor = a[row * k + inner]!;
      for (let column = 0; column < n; column++) c[row * n + column]! += factor * b[inner * n + column]!;
    }
  }
  return c;
}

/** a [rows, columns] -> [columns, rows], row-major. */
export function transposed(a: ArrayLike<number>, rows: number, columns: number): Float64Array {
  return Float64Array.from({ length: rows * columns }, (_, i) => a[(i % rows) * columns + Math.floor(i / rows)]!);
}

/** a + s·b, rounded to float32 at the end. */
export const sum = (a: ArrayLike<number>, b: ArrayLike<number>, s = 1): Float32Array =>
  Float32Array.from(a, (value, i) => value + s * b[i]!);
