/**
 * Position embeddings for another image size: rows of tokens in front are kept, the grid is resized bicubically.
 *
 * The kernel is PyTorch's (a = −0.75, align_corners false, no antialiasing, edges repeated), so a model resized here
 * equals one resized by torch.nn.functional.interpolate.
 */

type Grid = readonly [rows: number, columns: number];

/**
 * @param values [front + from's patches, width] row-major
 * @param from, to rows and columns of the grids
 * @param front rows before those of the grid; default: the class token's
 * @returns [front + to's patches, width]
 */
export function resizePositionEmbedding(
  values: Float32Array,
  width: number,
  [fromRows, fromColumns]: Grid,
  [rows, columns]: Grid,
  front = 1,
): Float32Array {
  const result = new Float32Array((front + rows * columns) * width);
  result.set(values.subarray(0, front * width));
  const [down, across] = [bicubicTaps(fromRows, rows), bicubicTaps(fromColumns, columns)];
  const cell = (row: number, column: number) => (front + row * fromColumns + column) * width;
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      const out = (front + y * columns + x) * width;
      for (let d = 0; d < width; d++) {
        let sum = 0;
        for (const [row, wy] of down[y]!)
          for (const [column, wx] of across[x]!) sum += wy * wx * values[cell(row, column) + d]!;
        result[out + d] = sum;
      }
    }
  }
  return result;
}

/** For each output position, the four input positions it reads and their weights. */
function bicubicTaps(from: number, to: number): [position: number, weight: number][][] {
  const a = -0.75;
  const near = (t: number) => ((a + 2) * t - (a + 3)) * t * t + 1;
  const far = (t: number) => ((a * t - 5 * a) * t + 8 * a) * t - 4 * a;
  return Array.from({ length: to }, (_, i) => {
    const centre = ((i + 0.5) * from) / to - 0.5;
    const base = Math.floor(centre);
    const t = centre - base;
    const weights = [far(t + 1), near(t), near(1 - t), far(2 - t)];
    return weights.map((w, k) => [Math.min(Math.max(base - 1 + k, 0), from - 1), w]);
  });
}
