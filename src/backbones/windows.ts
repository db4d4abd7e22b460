/**
 * How a grid of tokens is cut into windows: which tokens, how far apart, and which of them are neighbours.
 *
 * A shift by s moves the grid up and left by s rows and columns, what falls off coming in again on the other side.
 *
 * @see Liu et al. 2021, arXiv:2103.14030, section 3.2
 */

/** For each token of each window, windows and tokens row by row, its place in the raster of the grid. */
export function windowOrder(grid: number, window: number, shift: number): number[] {
  const side = grid / window;
  const order: number[] = [];
  for (let w = 0; w < side ** 2; w++) {
    for (let n = 0; n < window ** 2; n++) {
      const [row, column] = placeInWindow(w, n, grid, window);
      order.push(((row + shift) % grid) * grid + ((column + shift) % grid));
    }
  }
  return order;
}

/** Row and column, in the shifted grid, of token n of window w. */
function placeInWindow(w: number, n: number, grid: number, window: number): [row: number, column: number] {
  const side = grid / window;
  return [Math.floor(w / side) * window + Math.floor(n / window), (w % side) * window + (n % window)];
}

export function inverseOrder(order: readonly number[]): number[] {
  const back = new Array<number>(order.length);
  order.forEach((place, at) => {
    back[place] = at;
  });
  return back;
}

/** For each pair of tokens of a window, [N, N], the row of the bias table that its relative position has. */
export function relativePositions(window: number): number[] {
  const positions: number[] = [];
  for (let query = 0; query < window ** 2; query++) {
    for (let key = 0; key < window ** 2; key++) {
      const rows = Math.floor(query / window) - Math.floor(key / window) + window - 1;
      const columns = (query % window) - (key % window) + window - 1;
      positions.push(rows * (2 * window - 1) + columns);
    }
  }
  return positions;
}

/**
 * [W, N, N]: −100 for pairs of a shifted window whose tokens lie on opposite sides of the picture, otherwise 0. The
 * shifted grid has three bands each way: what no window cuts through, the rest of the last windows, and what came in
 * from the other side.
 */
export function shiftMask(grid: number, window: number, shift: number): Float32Array {
  const N = window ** 2;
  const W = (grid / window) ** 2;
  const band = (at: number) => (at < grid - window ? 0 : at < grid - shift ? 1 : 2);
  const mask = new Float32Array(W * N * N);
  for (let w = 0; w < W; w++) {
    const regions = Array.from({ length: N }, (_, n) => {
      const [row, column] = placeInWindow(w, n, grid, window);
      return 3 * band(row) + band(column);
    });
    for (let i = 0; i < N; i++) {
      for (let j = 0; j < N; j++) if (regions[i] !== regions[j]) mask[(w * N + i) * N + j] = -100;
    }
  }
  return mask;
}
