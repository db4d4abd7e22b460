/** An image however a program has it: a file's path, the bytes of a file, a Blob of them, or pixels. */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { IdatError } from '../../errors.js';
import { sha256 } from '../../files/node/sha256.js';
import type { ImageContent } from '../dataset.js';
import { MAX_IMAGE_BYTES } from '../file-tree.js';
import { type PixelImage, toRgb } from '../pixel-image.js';
import type { RgbImage } from '../resize.js';
import { decodeImage } from './decode.js';
import { tooLarge } from './directory.js';

export type ImageSource = string | Uint8Array | Blob | PixelImage;

/** What messages call it. @param at its position among others */
export const nameOfSource = (source: ImageSource, at: number): string =>
  typeof source === 'string' ? source : `image ${at + 1}`;

/** What is wrong with something that should be an image, in half a sentence; null where nothing is. */
export function sourceProblem(source: unknown): string | null {
  if (typeof source === 'string' || source instanceof Uint8Array || source instanceof Blob) return null;
  const { width, height, data } = (source ?? {}) as { [Field in keyof PixelImage]?: unknown };
  const isBytes = data instanceof Uint8Array || data instanceof Uint8ClampedArray;
  if (isBytes && typeof width === 'number' && typeof height === 'number') return null;
  const got = data === undefined || isBytes ? kindOf(source) : `data of the kind ${kindOf(data)}`;
  return `expected a file’s path, the bytes of a file (Uint8Array, Blob), or pixels { width, height, data }, got ${got}`;
}

const kindOf = (value: unknown): string =>
  value === null ? 'null' : typeof value === 'object' ? (value.constructor?.name ?? 'object') : typeof value;

/**
 * The bytes or pixels; a file is read anew each time.
 * @param name what errors call it
 * @throws IdatError `image.source` for what is none of the three, `image.file` for a file that cannot be read,
 *   `data.file.too-large`
 */
export async function contentOf(source: ImageSource, name: string): Promise<ImageContent> {
  const problem = sourceProblem(source);
  if (problem !== null) throw new IdatError('image.source', `${name}: ${problem}`);
  if (source instanceof Blob) {
    if (source.size > MAX_IMAGE_BYTES) throw tooLarge(name, source.size, MAX_IMAGE_BYTES);
    return new Uint8Array(await source.arrayBuffer());
  }
  if (typeof source !== 'string') return source;
  try {
    const found = await stat(source);
    const { size } = found;
    // a pipe would wait for a writer, a device never end
    if (!found.isFile())
      throw new IdatError('image.file', `${name}: is a folder, a pipe, a socket or a device; give the path of a file`);
    if (size > MAX_IMAGE_BYTES) throw tooLarge(name, size, MAX_IMAGE_BYTES);
    return await readFile(source);
  } catch (error) {
    if (error instanceof IdatError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    const reason = code === 'ENOENT' ? 'no such file; check the path' : `cannot be read (${code})`;
    throw new IdatError('image.file', `${name}: ${reason}`, { cause: error });
  }
}

/**
 * @param options.orient turn photographs as their EXIF tag says; pixels are as they are
 * @param options.name what errors call the image
 * @throws IdatError `image.unreadable`, `image.too-large` for files, `image.pixels` for sizes that do not fit the bytes
 */
export async function rgbOf(content: ImageContent, options: { orient: boolean; name: string }): Promise<RgbImage> {
  return content instanceof Uint8Array ? decodeImage(content, options) : toRgb(content, options.name);
}

/** Both in one. @throws IdatError as `contentOf` and `rgbOf` */
export const readImage = async (source: ImageSource, options: { orient: boolean; name: string }): Promise<RgbImage> =>
  rgbOf(await contentOf(source, options.name), options);

/** sha256 of a file's bytes, or of pixels with their width and height. */
export function contentHash(content: ImageContent): string {
  if (content instanceof Uint8Array) return sha256(content);
  const { width, height, data } = content;
  return createHash('sha256').update(`pixels ${width} ${height}\n`).update(data).digest('hex');
}
