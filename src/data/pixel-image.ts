/** Pixels that somebody has decoded already: a browser's ImageData, or the raw output of an image library. */
import { IdatError } from '../errors.js';
import type { RgbImage } from './resize.js';

/** Rows from top to bottom, pixels from left to right, with 1 (grey), 3 (RGB) or 4 (RGBA) bytes each, as many as there are. */
export interface PixelImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array | Uint8ClampedArray;
}

/**
 * As RGB; alpha is dropped, as in files.
 * @param name what messages call it
 * @throws IdatError `image.pixels` when sizes and bytes do not fit each other
 */
export function toRgb({ width, height, data }: PixelImage, name: string): RgbImage {
  const count = width * height;
  const channels = data.length / count;
  if (!Number.isInteger(width) || !Number.isInteger(height) || count < 1 || ![1, 3, 4].includes(channels)) {
    const what = `${width}×${height} pixels of 1, 3 or 4 bytes each were expected, got ${data.length} bytes`;
    throw new IdatError('image.pixels', `${name}: ${what}; give width, height and all of the bytes`);
  }
  if (channels === 3) return { width, height, pixels: new Uint8Array(data) };
  const pixels = new Uint8Array(3 * count);
  const [green, blue] = channels === 1 ? [0, 0] : [1, 2];
  for (let i = 0, from = 0, to = 0; i < count; i++, from += channels, to += 3) {
    pixels[to] = data[from]!;
    pixels[to + 1] = data[from + green]!;
    pixels[to + 2] = data[from + blue]!;
  }
  return { width, height, pixels };
}
