/** The images of a split as the network reads them, wherever they lie. */
import type { ImageSize } from '../image-size.js';

/** Up to this many bytes of pixels of a split are held in memory, more are read from a file. */
export const PIXELS_IN_MEMORY = 2 ** 30;

export interface PixelStore {
  /** Images at hand: those given less those skipped. */
  count: number;
  size: ImageSize;
  labels: Int32Array;
  names: string[];
  /** What the fingerprint knows each image by: its name, unless something lasts longer. */
  keys: string[];
  /** sha256 of each image's content. */
  fileHashes: string[];
  skipped: { name: string; reason: string }[];
  /** sha256 over name, label and content of each image, in order: changes when the data change. */
  fingerprint: string;
  /** sha256 over how pixels are made and each image's content, in order: with the same key, `read` gives the same bytes. */
  pixelsKey: string;
  /** Whether the pixels came from a cache. */
  fromCache: boolean;
  /** Why no cache could be written, though asked for; null when all is well. */
  cacheProblem: string | null;
  /** The images at these positions: bytes [indices.length, 3, height, width]. */
  read(indices: ArrayLike<number>): Promise<Uint8Array>;
  close(): Promise<void>;
}
