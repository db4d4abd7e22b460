/** Images as pixels for a contact sheet: enlarged, with attention laid over them. */
import { resizeBicubic } from '../data/resize.js';
import { type ImageSize, sidesOf } from '../image-size.js';
import { viridis } from './style.js';

type Grid = readonly [rows: number, columns: number];

/** [height, width, 3] */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
}

/**
 * @param planar bytes [3, height, width]
 * @param size height and width of them
 * @param longer side of the picture
 */
export function pictureOf(planar: Uint8Array, size: ImageSize, longer: number): Picture {
  const [height, width] = sidesOf(size);
  const pixels = new Uint8Array(planar.length);
  for (let i = 0; i < height * width; i++) {
    for (let c = 0; c < 3; c++) pixels[3 * i + c] = planar[c * height * width + i]!;
  }
  const scale = longer / Math.max(height, width);
  const to = { width: Math.round(scale * width), height: Math.round(scale * height) };
  return { ...to, pixels: resizeBicubic({ width, height, pixels }, to.width, to.height) };
}

/** How much of the colours lies over the image. */
const OPACITY = 0.6;

/**
 * A map over the image, from its lowest value (dark) to its highest (bright): each map has the scale of its own, as heads differ
 * more in how much they look at patches than in where.
 * @param map [rows·columns] of the grid
 */
export function overlay({ width, height, pixels }: Picture, map: readonly number[], grid: Grid): Picture {
  const [rows, columns] = grid;
  const [low, high] = [Math.min(...map), Math.max(...map)];
  const shares = map.map((value) => (high > low ? (value - low) / (high - low) : 0));
  const result = new Uint8Array(pixels.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [column, row] = [((x + 0.5) / width) * columns - 0.5, ((y + 0.5) / height) * rows - 0.5];
      const colour = viridis(between(shares, grid, column, row));
      const at = 3 * (y * width + x);
      const grey = 0.299 * pixels[at]! + 0.587 * pixels[at + 1]! + 0.114 * pixels[at + 2]!;
      for (let c = 0; c < 3; c++) result[at + c] = Math.round((1 - OPACITY) * grey + OPACITY * colour[c]!);
    }
  }
  return { width, height, pixels: result };
}

/** Bilinear, at x and y in patches. */
function between(map: readonly number[], [rows, columns]: Grid, x: number, y: number): number {
  const inside = (at: number, count: number) => Math.min(Math.max(at, 0), count - 1);
  const [x0, y0] = [Math.floor(inside(x, columns)), Math.floor(inside(y, rows))];
  const [x1, y1] = [inside(x0 + 1, columns), inside(y0 + 1, rows)];
  const [dx, dy] = [inside(x, columns) - x0, inside(y, rows) - y0];
  const row = (at: number) => (1 - dx) * map[at * columns + x0]! + dx * map[at * columns + x1]!;
  return (1 - dy) * row(y0) + dy * row(y1);
}
