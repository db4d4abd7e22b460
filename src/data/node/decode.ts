/**
 * Image files to RGB bytes, as Pillow's `Image.open(…).convert('RGB')` gives them. Nothing else imports sharp, but for what
 * draws (analysis/node/encode.ts) and what does as others do (export/library-resize.ts).
 */
import sharp from 'sharp';
import { IdatError } from '../../errors.js';
import { usableCores } from '../../files/node/usable-cores.js';
import { decodeBmp, sizeOfBmp } from '../bmp.js';
import { cmykToRgb } from '../cmyk.js';
import { imageFormat, undecodedFormat } from '../image-format.js';
import { decodePnm, sizeOfPnm } from '../pnm.js';
import type { RgbImage } from '../resize.js';
import { Budget } from './pixel-budget.js';

/** Where Pillow stops with DecompressionBombError: twice a quarter of a GiB of 3-byte pixels. */
const MAX_PIXELS = 178_956_970;

/** Pixels being decoded, by all who decode: whoever asks for many images at once need not know how large they are. */
const inFlight = new Budget(Math.max(50e6, 12.5e6 * usableCores()));

// Each image is decoded once, so a cache of operations only holds memory; parallelism is over images, not within one.
sharp.cache(false);
sharp.concurrency(1);

/** Part of a pixel cache's key: another libvips may decode a JPEG to other bytes. */
export const DECODER_VERSION = `libvips ${sharp.versions.vips}`;

/** What this libvips reads of the formats that idat does, which reads BMP and PNM by itself. */
export function decodedFormats(): { readonly reads: string[]; readonly lacks: string[] } {
  const byLibvips = { JPEG: 'jpeg', PNG: 'png', WebP: 'webp', GIF: 'gif', TIFF: 'tiff', AVIF: 'heif' } as const;
  const has = (id: string) => sharp.format[id as 'jpeg']?.input.buffer === true;
  const [reads, lacks] = [true, false].map((wanted) =>
    Object.entries(byLibvips).flatMap(([name, id]) => (has(id) === wanted ? [name] : [])),
  ) as [string[], string[]];
  return { reads: [...reads, 'BMP', 'PNM'], lacks };
}

/**
 * Pillow's behaviours asked of libvips. 'error' also refuses a wrong checksum in a PNG (which Pillow refuses), but lets
 * pass what libjpeg only warns of, such as stray bytes between segments (which Pillow lets pass). No colour profile is
 * applied. The limit on pixels is ours, checked before decoding.
 */
const OPEN_OPTIONS = { failOn: 'error', ignoreIcc: true, limitInputPixels: false } as const;

/** Formats that are read without libvips, and need no more than arithmetic. */
const PLAIN = { bmp: [sizeOfBmp, decodeBmp], pnm: [sizeOfPnm, decodePnm] } as const;

/**
 * Decodes a JPEG, PNG, WebP, GIF, TIFF, AVIF, BMP or PNM; the bytes decide which, not the file's name. Gray becomes three
 * equal channels, alpha is dropped (not composited), palettes are expanded, of 16 bits the high 8 are kept, CMYK goes
 * through Pillow's plain conversion, of animations and pages the first counts.
 *
 * Bytes are Pillow's but for AVIF, whose halved colour libheif spreads in another way than libavif, and for transparent
 * pixels of GIFs, which are black here.
 *
 * @param options.orient turn the image as its EXIF orientation says; the published recipes ignore it. A TIFF is turned
 *   always, as by Pillow, and an AVIF by its decoder
 * @param options.name what errors call the image
 * @returns pixels [height, width, 3]
 * @throws IdatError `image.unreadable` (another format, truncated, corrupt), `image.too-large` (over 178,956,970 pixels)
 */
export async function decodeImage(bytes: Uint8Array, options: { orient: boolean; name: string }): Promise<RgbImage> {
  const { name } = options;
  const format = imageFormat(bytes);
  if (format === null) throw notDecoded(bytes, name);
  if (format === 'bmp' || format === 'pnm') {
    const [sizeOf, decode] = PLAIN[format];
    const size = await explained(name, async () => sizeOf(bytes));
    checkSize(size, name);
    return explained(name, async () => decode(bytes));
  }
  if (format === 'tiff' && storesLumaUncompressed(bytes)) {
    throw new IdatError('image.unreadable', `${name}: TIFF of uncompressed YCbCr, which idat does not decode`);
  }
  const { width, height, space } = await explained(name, () => sharp(bytes, OPEN_OPTIONS).metadata());
  checkSize({ width, height }, name);
  const isCmyk = space === 'cmyk';
  let pipeline = sharp(bytes, OPEN_OPTIONS);
  if (options.orient || format === 'tiff') pipeline = pipeline.autoOrient();
  // Asking for CMYK at both ends keeps libvips from converting it with its built-in profile.
  if (isCmyk) pipeline = pipeline.pipelineColourspace('cmyk').toColourspace('cmyk');
  else pipeline = pipeline.removeAlpha().toColourspace('srgb');
  const { data, info } = await inFlight.spend(width * height, () =>
    explained(name, () => pipeline.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true })),
  );
  const channels = isCmyk ? 4 : 3;
  if (info.channels !== channels) {
    throw new IdatError('image.unreadable', `${name}: decoded to ${info.channels} channels, expected ${channels}`);
  }
  return { width: info.width, height: info.height, pixels: isCmyk ? cmykToRgb(data) : data };
}

/**
 * Width and height as a file's header tells them, before it is turned.
 * @returns null for what `decodeImage` refuses by its beginning
 */
export async function sizeInHeader(bytes: Uint8Array): Promise<{ width: number; height: number } | null> {
  const format = imageFormat(bytes);
  try {
    if (format === 'bmp' || format === 'pnm') return PLAIN[format][0](bytes);
    if (format === null) return null;
    const { width, height } = await sharp(bytes, OPEN_OPTIONS).metadata();
    return { width, height };
  } catch {
    return null;
  }
}

function checkSize({ width, height }: { width: number; height: number }, name: string): void {
  if (width * height <= MAX_PIXELS) return;
  throw new IdatError(
    'image.too-large',
    `${name}: ${width}×${height} pixels are more than the ${MAX_PIXELS.toLocaleString('en')} idat decodes; make the image smaller`,
  );
}

function notDecoded(bytes: Uint8Array, name: string): IdatError {
  const other = undecodedFormat(bytes);
  const reason = other
    ? `${other}, which idat does not decode; save it as JPEG or PNG`
    : `not a JPEG, PNG, WebP, GIF, TIFF, AVIF, BMP or PNM (${describeStart(bytes)})`;
  return new IdatError('image.unreadable', `${name}: ${reason}`);
}

/** libvips takes such samples for RGB. @see TIFF 6.0, tags 259 (compression) and 262 (photometric interpretation) */
function storesLumaUncompressed(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = bytes[0] === 0x49;
  if (view.getUint16(2, little) !== 42 || bytes.length < 10) return false; // 64-bit offsets are left to libvips
  const directory = view.getUint32(4, little);
  const tags = new Map<number, number>();
  const count = directory + 2 <= bytes.length ? view.getUint16(directory, little) : 0;
  for (let at = directory + 2; at < directory + 2 + 12 * count && at + 12 <= bytes.length; at += 12) {
    tags.set(view.getUint16(at, little), view.getUint16(at + 8, little));
  }
  const [YCBCR, JPEG, OLD_JPEG] = [6, 7, 6];
  const compression = tags.get(259);
  return tags.get(262) === YCBCR && compression !== JPEG && compression !== OLD_JPEG;
}

/** The first bytes as text when they are text (an HTML error page saved as .jpg is the usual culprit), else in hex. */
function describeStart(bytes: Uint8Array): string {
  if (bytes.length === 0) return 'the file is empty';
  const start = Buffer.from(bytes.subarray(0, 12));
  const text = start.toString('latin1');
  return `starts with ${/^[\t\n\r -~]+$/.test(text) ? JSON.stringify(text) : start.toString('hex').replace(/..(?!$)/g, '$& ')}`;
}

async function explained<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // libvips repeats its complaint a line for each attempt; the last is the plain one.
    const reason = String(error instanceof Error ? error.message : error)
      .trim()
      .split('\n')
      .at(-1)!
      .replace(/^Input buffer has corrupt header: /, '');
    const kind = /premature end|truncated/i.test(reason) ? 'truncated' : 'truncated or corrupt';
    throw new IdatError('image.unreadable', `${name}: ${kind} image (${reason})`, { cause: error });
  }
}
