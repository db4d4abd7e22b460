/** Images as pixels for a contact sheet: enlarged, with attention laid over them. */
import { resizeBicubic } from '../data/resize.js';
import { viridis } from './style.js';

/** Square pictures [side, side, 3]. */
export interface Picture {
  readonly side: number;
  readonly pixels: Uint8Array;
}

/** @param planar bytes [3, size, size] */
export function pictureOf(planar: Uint8Array, side: number): Picture {
  const size = Math.sqrt(planar.length / 3);
  const pixels = new Uint8Array(planar.length);
  for (let i = 0; i < size * size; i++) {
    for (let c = 0; c < 3; c++) pixels[3 * i + c] = planar[c * size * size + i]!;
  }
  return { side, pixels: resizeBicubic({ width: size, height: size, pixels }, side, side) };
}

/** How much of the colours lies over the image. */
const OPACITY = 0.6;

/**
 * A map over the image, from its lowest value (dark) to its highest (bright): each map has the scale of its own, as heads differ
 * more in how much they look at patches than in where.
 * @param map [grid·grid]
 */
export function overlay({ side, pixels }: Picture, map: readonly number[]): Picture {
  const grid = Math.sqrt(map.length);
  const [low, high] = [Math.min(...map), Math.max(...map)];
  const shares = map.map((value) => (high > low ? (value - low) / (high - low) : 0));
  const result = new Uint8Array(pixels.length);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const colour = viridis(between(shares, grid, ((x + 0.5) / side) * grid - 0.5, ((y + 0.5) / side) * grid - 0.5));
      const at = 3 * (y * side + x);
      const grey = 0.299 * pixels[at]! + 0.587 * pixels[at + 1]! + 0.114 * pixels[at + 2]!;
      for (let c = 0; c < 3; c++) result[at + c] = Math.round((1 - OPACITY) * grey + OPACITY * colour[c]!);
    }
  }
  return { side, pixels: result };
}

/** Bilinear, at x and y in patches. */
function between(map: readonly number[], grid: number, x: number, y: number): number {
  const inside = (at: number) => Math.min(Math.max(at, 0), grid - 1);
  const [x0, y0] = [Math.floor(inside(x)), Math.floor(inside(y))];
  const [x1, y1] = [inside(x0 + 1), inside(y0 + 1)];
  const [dx, dy] = [inside(x) - x0, inside(y) - y0];
  const row = (at: number) => (1 - dx) * map[at * grid + x0]! + dx * map[at * grid + x1]!;
  return (1 - dy) * row(y0) + dy * row(y1);
}
