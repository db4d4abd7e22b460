/**
 * Image files to RGB bytes in a browser, the same bytes as in Node (data/node/decode.ts): PNG, BMP and PNM by arithmetic,
 * JPEG, WebP and GIF by the browser, whose decoders are those of libvips. What a browser would decode otherwise is refused.
 */
import { IdatError } from '../../errors.js';
import { unzlib } from '../../files/web/zip.js';
import { decodeBmp, sizeOfBmp } from '../bmp.js';
import { type ImageFormat, imageFormat, undecodedFormat } from '../image-format.js';
import { jpegFacts } from '../jpeg-header.js';
import { decodePng, sizeOfPng, turnOfPng } from '../png.js';
import { decodePnm, sizeOfPnm } from '../pnm.js';
import type { RgbImage } from '../resize.js';
import { canvasIsTrue } from './canvas.js';

/** Larger ones do not fit into a tab beside everything else; a terminal takes up to 178,956,970 pixels. */
const MAX_PIXELS = 50_000_000;

/** Formats that need no more than arithmetic. */
const PLAIN = {
  bmp: [sizeOfBmp, decodeBmp],
  pnm: [sizeOfPnm, decodePnm],
  png: [sizeOfPng, (bytes: Uint8Array) => decodePng(bytes, unzlib)],
} as const;
const BY_BROWSER: Partial<Record<ImageFormat, string>> = {
  jpeg: 'image/jpeg',
  webp: 'image/webp',
  gif: 'image/gif',
};

/**
 * @param options.orient turn the image as its EXIF orientation says
 * @param options.name what errors call the image
 * @throws IdatError `image.unreadable` (another format, truncated, corrupt), `image.too-large`
 */
export async function decodeImage(bytes: Uint8Array, options: { orient: boolean; name: string }): Promise<RgbImage> {
  const { name, orient } = options;
  const format = imageFormat(bytes);
  const unreadable = (what: string, cause?: unknown) =>
    new IdatError('image.unreadable', `${name}: ${what}`, { cause });
  if (format === 'bmp' || format === 'pnm' || format === 'png') {
    const [sizeOf, decode] = PLAIN[format];
    try {
      checkSize(sizeOf(bytes), name);
      if (orient && format === 'png' && turnOfPng(bytes) > 1) {
        throw unreadable('a PNG with an EXIF orientation, which idat does not turn in a browser; save it upright');
      }
      return decode(bytes);
    } catch (error) {
      if (error instanceof IdatError) throw error;
      throw unreadable(`truncated or corrupt image (${(error as Error).message})`, error);
    }
  }
  const type = format && BY_BROWSER[format];
  if (!type) {
    const other = format?.toUpperCase() ?? undecodedFormat(bytes);
    const what = other ? `${other}, which idat does not decode in a browser` : 'not a JPEG, PNG, WebP, GIF, BMP or PNM';
    throw unreadable(`${what}; save it as JPEG or PNG`);
  }
  if (format === 'jpeg') checkJpeg(bytes, name);
  return byBrowser(bytes, type, options);
}

async function byBrowser(
  bytes: Uint8Array,
  type: string,
  { orient, name }: { orient: boolean; name: string },
): Promise<RgbImage> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(new Blob([bytes as Uint8Array<ArrayBuffer>], { type }), {
      colorSpaceConversion: 'none',
      premultiplyAlpha: 'none',
      imageOrientation: orient ? 'from-image' : ('none' as ImageOrientation),
    });
  } catch (error) {
    const what = `truncated or corrupt image (${(error as Error).message})`;
    throw new IdatError('image.unreadable', `${name}: ${what}`, { cause: error });
  }
  return rgbOfBitmap(bitmap, name, 'save it as PNG');
}

/**
 * The pixels of a bitmap, which is closed.
 * @param advice where some are transparent
 * @throws IdatError `image.unreadable` where some are transparent, or the page may not read them as they are; `image.too-large`
 */
export function rgbOfBitmap(bitmap: ImageBitmap, name: string, advice: string): RgbImage {
  try {
    checkSize(bitmap, name);
    if (!canvasIsTrue()) {
      const what = 'this browser changes the pixels that pages read, so that visitors are not recognised by them';
      throw new IdatError('image.unreadable', `${name}: ${what}; allow this page to read canvases, and load it again`);
    }
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    const context = canvas.getContext('2d', { willReadFrequently: true, colorSpace: 'srgb' })!;
    context.drawImage(bitmap, 0, 0);
    const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
    return { width: bitmap.width, height: bitmap.height, pixels: withoutAlpha(data, name, advice) };
  } finally {
    bitmap.close();
  }
}

/** Of transparent pixels a canvas has lost the colour. @throws IdatError `image.unreadable` where there are any */
function withoutAlpha(rgba: Uint8ClampedArray, name: string, advice: string): Uint8Array {
  const pixels = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    if (rgba[from + 3] !== 255) {
      const what = 'has transparent pixels, whose colours a browser does not tell';
      throw new IdatError('image.unreadable', `${name}: ${what}; ${advice}`);
    }
    pixels[to] = rgba[from]!;
    pixels[to + 1] = rgba[from + 1]!;
    pixels[to + 2] = rgba[from + 2]!;
  }
  return pixels;
}

/** What browsers decode in another way than libvips, or without saying that something is missing. */
function checkJpeg(bytes: Uint8Array, name: string): void {
  const facts = jpegFacts(bytes);
  if (facts === null || !facts.ends)
    throw new IdatError('image.unreadable', `${name}: truncated or corrupt image (premature end of JPEG image)`);
  checkSize(facts, name);
  if (facts.components !== 4) return;
  const what = 'a JPEG of CMYK, which browsers turn into other colours than idat';
  throw new IdatError('image.unreadable', `${name}: ${what}; save it as RGB`);
}

function checkSize({ width, height }: { width: number; height: number }, name: string): void {
  if (width * height <= MAX_PIXELS) return;
  const what = `${width}×${height} pixels are more than the ${MAX_PIXELS.toLocaleString('en')} idat decodes in a browser`;
  throw new IdatError('image.too-large', `${name}: ${what}; make the image smaller`);
}
