/** An image however a program has it: a file's path, the bytes of a file, or pixels. */
import { readFile } from 'node:fs/promises';
import { IdatError } from '../../errors.js';
import { type PixelImage, toRgb } from '../pixel-image.js';
import type { RgbImage } from '../resize.js';
import { decodeImage } from './decode.js';

export type ImageSource = string | Uint8Array | PixelImage;

/** What messages call it. @param at its position among others */
export const nameOfSource = (source: ImageSource, at: number): string =>
  typeof source === 'string' ? source : `image ${at + 1}`;

/**
 * @param options.orient turn photographs as their EXIF tag says; pixels are as they are
 * @throws IdatError `image.file` for a file that cannot be read, `image.unreadable`, `image.too-large`, `image.pixels`
 */
export async function readImage(source: ImageSource, options: { orient: boolean; name: string }): Promise<RgbImage> {
  if (source instanceof Uint8Array) return decodeImage(source, options);
  if (typeof source !== 'string') return toRgb(source, options.name);
  const bytes = await readFile(source).catch((error: NodeJS.ErrnoException) => {
    const reason = error.code === 'ENOENT' ? 'no such file; check the path' : `cannot be read (${error.code})`;
    throw new IdatError('image.file', `${options.name}: ${reason}`, { cause: error });
  });
  return decodeImage(bytes, options);
}
