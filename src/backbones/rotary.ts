/**
 * Rotary positions of patches: pairs of numbers of each query and key are turned by angles that tell row and column, so that
 * their product depends on how far apart two patches lie. Tokens in front have no place and are not turned.
 *
 * Letters: B images, H heads, T tokens, N patches (the last N of T), d numbers a head.
 *
 * @see Su et al. 2021, arXiv:2104.09864; Siméoni et al. 2025 (DINOv3), arXiv:2508.10104
 */
import { add, broadcastTo, concat, constant, gather, mul, reshape, takeTokens } from '../graph/ops/index.js';
import { size, type Tensor } from '../graph/tensor.js';

/** Turns queries or keys [B, H, T, d]. */
export type Rotation = (t: Tensor) => Tensor;

/**
 * @param grid rows and columns of patches
 * @param d numbers a head, a multiple of 4
 * @param base of the periods: pair j of d/4 has the period base^(4j/d), in half widths of the image
 * @param keptPatches int64 [B, kept], or null: all
 */
export function rotation(
  grid: readonly [rows: number, columns: number],
  d: number,
  base: number,
  keptPatches: Tensor | null,
): Rotation {
  const half = Array.from({ length: d }, (_, i) => (i + d / 2) % d);
  const angles = patchAngles(grid, d, base);
  const patches = grid[0] * grid[1];
  const cosines = constant([1, patches, d], angles.map(Math.cos));
  // the partner of the first half counts negatively: (a, b) -> (a·cos − b·sin, b·cos + a·sin)
  const sines = constant(
    [1, patches, d],
    angles.map((angle, i) => (i % d < d / 2 ? -Math.sin(angle) : Math.sin(angle))),
  );
  const tables = new Map<number, { cosine: Tensor; sine: Tensor }>();
  return (t) => {
    const T = t.shape[2]!;
    const known = tables.get(T) ?? {
      cosine: tokenTable(cosines, 1, T, keptPatches),
      sine: tokenTable(sines, 0, T, keptPatches),
    };
    tables.set(T, known);
    return add(mul(t, known.cosine), mul(gather(t, 3, half), known.sine));
  };
}

/** For T tokens, of which the last are patches; the others get one number. -> [B or 1, 1, T, d] */
function tokenTable(patches: Tensor, others: number, T: number, keptPatches: Tensor | null): Tensor {
  const [, N, d] = patches.shape as [number, number, number];
  const B = keptPatches?.shape[0] ?? 1;
  const rows = keptPatches ? takeTokens(broadcastTo(patches, [B, N, d]), keptPatches) : patches;
  const front = [B, T - rows.shape[1]!, d];
  const table = front[1] === 0 ? rows : concat([constant(front, new Float32Array(size(front)).fill(others)), rows], 1);
  return reshape(table, [B, 1, T, d]);
}

/** The angle of each number of each patch, row by row: d/4 for the row, d/4 for the column, then the same again. */
function patchAngles([rows, columns]: readonly [number, number], d: number, base: number): Float32Array {
  const place = (i: number, count: number) => (2 * (i + 0.5)) / count - 1; // from −1 to 1, the middle of the patch
  const angles = new Float32Array(rows * columns * d);
  for (let patch = 0; patch < rows * columns; patch++) {
    const places = [place(Math.floor(patch / columns), rows), place(patch % columns, columns)];
    for (let i = 0; i < d; i++) {
      const pair = i % (d / 2);
      const along = places[Math.floor(pair / (d / 4))]!;
      angles[patch * d + i] = 2 * Math.PI * along * base ** (-(pair % (d / 4)) * (4 / d));
    }
  }
  return angles;
}
