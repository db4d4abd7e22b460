/**
 * Image files to RGB bytes, as Pillow's `Image.open(…).convert('RGB')` gives them. The only file that imports sharp.
 */
import { availableParallelism } from 'node:os';
import sharp from 'sharp';
import { IdatError } from '../../errors.js';
import { cmykToRgb } from '../cmyk.js';
import type { RgbImage } from '../resize.js';
import { Budget } from './pixel-budget.js';

/** Where Pillow stops with DecompressionBombError: twice a quarter of a GiB of 3-byte pixels. */
const MAX_PIXELS = 178_956_970;

/** Pixels being decoded, by all who decode: whoever asks for many images at once need not know how large they are. */
const inFlight = new Budget(Math.max(50e6, 12.5e6 * availableParallelism()));

// Each image is decoded once, so a cache of operations only holds memory; parallelism is over images, not within one.
sharp.cache(false);
sharp.concurrency(1);

/** Part of a pixel cache's key: another libvips may decode a JPEG to other bytes. */
export const DECODER_VERSION = `libvips ${sharp.versions.vips}`;

/**
 * Pillow's behaviours asked of libvips. 'error' also refuses a wrong checksum in a PNG (which Pillow refuses), but lets
 * pass what libjpeg only warns of, such as stray bytes between segments (which Pillow lets pass). No colour profile is
 * applied. The limit on pixels is ours, checked before decoding.
 */
const OPEN_OPTIONS = { failOn: 'error', ignoreIcc: true, limitInputPixels: false } as const;

/**
 * Decodes a JPEG, PNG or WebP; the bytes decide which, not the file's name. Gray becomes three equal channels, alpha is
 * dropped (not composited), palettes are expanded, of 16 bits the high 8 are kept, CMYK goes through Pillow's plain
 * conversion, an animation gives its first frame.
 *
 * @param options.orient turn the image as its EXIF orientation says; the published recipes ignore it
 * @param options.name what errors call the image
 * @returns pixels [height, width, 3]
 * @throws IdatError `image.unreadable` (another format, truncated, corrupt), `image.too-large` (over 178,956,970 pixels)
 */
export async function decodeImage(bytes: Uint8Array, options: { orient: boolean; name: string }): Promise<RgbImage> {
  if (!hasImageSignature(bytes)) {
    throw new IdatError('image.unreadable', `${options.name}: not a JPEG, PNG or WebP (${describeStart(bytes)})`);
  }
  const { width, height, space } = await explained(options.name, sharp(bytes, OPEN_OPTIONS).metadata());
  if (width * height > MAX_PIXELS) {
    throw new IdatError(
      'image.too-large',
      `${options.name}: ${width}×${height} pixels are more than the ${MAX_PIXELS.toLocaleString('en')} idat decodes; make the image smaller`,
    );
  }
  const isCmyk = space === 'cmyk';
  let pipeline = sharp(bytes, OPEN_OPTIONS);
  if (options.orient) pipeline = pipeline.autoOrient();
  // Asking for CMYK at both ends keeps libvips from converting it with its built-in profile.
  if (isCmyk) pipeline = pipeline.pipelineColourspace('cmyk').toColourspace('cmyk');
  else pipeline = pipeline.removeAlpha().toColourspace('srgb');
  const { data, info } = await inFlight.spend(width * height, () =>
    explained(options.name, pipeline.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true })),
  );
  const channels = isCmyk ? 4 : 3;
  if (info.channels !== channels) {
    throw new IdatError(
      'image.unreadable',
      `${options.name}: decoded to ${info.channels} channels, expected ${channels}`,
    );
  }
  return { width: info.width, height: info.height, pixels: isCmyk ? cmykToRgb(data) : data };
}

function hasImageSignature(bytes: Uint8Array): boolean {
  const at = (offset: number, ...expected: number[]) => expected.every((byte, i) => bytes[offset + i] === byte);
  const jpeg = at(0, 0xff, 0xd8, 0xff);
  const png = at(0, 0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
  const webp = at(0, 0x52, 0x49, 0x46, 0x46) && at(8, 0x57, 0x45, 0x42, 0x50);
  return jpeg || png || webp;
}

/** The first bytes as text when they are text (an HTML error page saved as .jpg is the usual culprit), else in hex. */
function describeStart(bytes: Uint8Array): string {
  if (bytes.length === 0) return 'the file is empty';
  const start = Buffer.from(bytes.subarray(0, 12));
  const text = start.toString('latin1');
  return `starts with ${/^[\t\n\r -~]+$/.test(text) ? JSON.stringify(text) : start.toString('hex').replace(/..(?!$)/g, '$& ')}`;
}

async function explained<T>(name: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
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
