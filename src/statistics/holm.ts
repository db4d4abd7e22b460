/**
 * Several tests at once: p-values raised so that the chance of even one false alarm stays below what a p says.
 *
 * p̃ of the k-th smallest of m is the largest of (m − j + 1)·p_j for j ≤ k, at most 1.
 *
 * @see Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6
 */
export function holm(ps: readonly number[]): number[] {
  const order = ps.map((_, i) => i).sort((i, j) => ps[i]! - ps[j]!);
  const adjusted = new Array<number>(ps.length);
  let largest = 0;
  order.forEach((i, rank) => {
    largest = Math.max(largest, Math.min(1, (ps.length - rank) * ps[i]!));
    adjusted[i] = largest;
  });
  return adjusted;
}
