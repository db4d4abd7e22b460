/** Images as a page has them, made ready to go to a Worker. */
import type { PixelImage } from '../../data/pixel-image.js';
import { IdatError } from '../../errors.js';
import type { SentImage } from './protocol.js';

/**
 * A file (`Blob`, `File`, or its bytes), pixels (`ImageData`, or `{ width, height, data }`), or what shows pixels now: a canvas, a
 * video, of which the frame is taken that it shows, a `VideoFrame`, an `ImageBitmap`.
 */
export type WebImage =
  | Blob
  | Uint8Array
  | PixelImage
  | HTMLCanvasElement
  | OffscreenCanvas
  | HTMLVideoElement
  | VideoFrame
  | ImageBitmap;

/** @param at its position among others */
export const nameOfImage = (image: WebImage, at: number): string =>
  typeof File !== 'undefined' && image instanceof File && image.name !== '' ? image.name : `image ${at + 1}`;

/** What is sent of an image, and what of it need not be copied. */
export interface Sent {
  readonly image: SentImage;
  readonly transfer: Transferable[];
}

/**
 * Takes the pixels there are now; what the page has stays its own.
 * @throws IdatError `image.source` for what is no image, `image.unreadable` for a video without a frame and pictures of
 *   other sites
 */
export async function sentImage(image: WebImage, name: string): Promise<Sent> {
  if (image instanceof Blob || image instanceof Uint8Array) return { image, transfer: [] };
  if (isPixels(image)) {
    const { width, height, data } = image;
    return { image: { width, height, data }, transfer: [] };
  }
  if (!isShown(image)) {
    const what =
      'expected a Blob, the bytes of a file, ImageData or pixels { width, height, data }, a canvas, a video, a VideoFrame or an ImageBitmap';
    throw new IdatError('image.source', `${name}: ${what}, got ${kindOf(image)}`);
  }
  if (typeof HTMLVideoElement !== 'undefined' && image instanceof HTMLVideoElement && image.readyState < 2) {
    throw new IdatError('image.unreadable', `${name}: the video has no frame yet; wait for its event loadeddata`);
  }
  try {
    const bitmap = await createImageBitmap(image, { colorSpaceConversion: 'none', premultiplyAlpha: 'none' });
    return { image: bitmap, transfer: [bitmap] };
  } catch (error) {
    const what = `its pixels cannot be taken (${(error as Error).message})`;
    throw new IdatError('image.unreadable', `${name}: ${what}`, { cause: error });
  }
}

const isPixels = (image: unknown): image is PixelImage => {
  const { width, height, data } = (image ?? {}) as { [Field in keyof PixelImage]?: unknown };
  const isBytes = data instanceof Uint8Array || data instanceof Uint8ClampedArray;
  return isBytes && typeof width === 'number' && typeof height === 'number';
};

type Shown = HTMLCanvasElement | OffscreenCanvas | HTMLVideoElement | VideoFrame | ImageBitmap;

/** Not every browser has every one of them. */
const SHOWN = ['HTMLCanvasElement', 'OffscreenCanvas', 'HTMLVideoElement', 'VideoFrame', 'ImageBitmap'] as const;

const isShown = (image: unknown): image is Shown =>
  SHOWN.some((name) => {
    const type = (globalThis as Record<string, unknown>)[name];
    return typeof type === 'function' && image instanceof type;
  });

const kindOf = (value: unknown): string =>
  value === null ? 'null' : typeof value === 'object' ? (value.constructor?.name ?? 'object') : typeof value;
