/** How transformers.js resizes in Node when it is asked for Lanczos' filter, to tell what that costs. */
import sharp from 'sharp';
import type { RgbImage } from '../data/node/index.js';
import { type ImageSize, sidesOf } from '../image-size.js';

/**
 * Pillow's number of the filter that its version 4 does best: bicubic and bilinear go through an affine transformation that
 * reads a few pixels of the original whatever the scale, without antialiasing, and rounds sizes by rules of its own. In a
 * tab, a canvas resizes whatever is asked for.
 */
export const LIBRARY_FILTER = 1;

/** @returns bytes [height, width, 3] */
export async function libraryResize({ width, height, pixels }: RgbImage, to: ImageSize): Promise<Uint8Array> {
  const [rows, columns] = sidesOf(to);
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .resize({ width: columns, height: rows, fit: 'fill', kernel: 'lanczos3' })
    .raw()
    .toBuffer();
}
