/** The images of a split as the network reads them, decoded and resized once and held in the memory of a tab. */
import { IdatError } from '../../errors.js';
import { sha256 } from '../../files/sha256.js';
import { type ImageSize, pixelsOf } from '../../image-size.js';
import { eachConcurrently } from '../concurrently.js';
import type { ImageItem } from '../dataset.js';
import { toRgb } from '../pixel-image.js';
import { PIXELS_IN_MEMORY, type PixelStore } from '../pixels.js';
import { preprocess } from '../preprocess.js';
import { decodeImage } from './decode.js';

export interface WebLoadOptions {
  readonly size: ImageSize;
  /** Turn images as their EXIF orientation says. */
  readonly orient: boolean;
  /** Throw at the first unreadable image; otherwise leave it out and list it in `skipped`. */
  readonly strict: boolean;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Decoding in a browser runs beside this thread, resizing in it. */
const IMAGES_AT_ONCE = 4;

/**
 * @throws IdatError `data.empty`, `data.memory` when the pixels do not fit, the first unreadable image's own when strict,
 *   `data.all-unreadable`. The signal's reason, soon after it is aborted.
 */
export async function loadWebPixels(items: readonly ImageItem[], options: WebLoadOptions): Promise<PixelStore> {
  if (items.length === 0) throw new IdatError('data.empty', 'no images to load: the list is empty');
  const record = 3 * pixelsOf(options.size);
  const all = reserve(items.length * record);
  const hashes = new Array<string>(items.length);
  const failures: { index: number; reason: string }[] = [];
  let done = 0;
  await eachConcurrently(items.length, IMAGES_AT_ONCE, options.signal, async (index) => {
    const item = items[index]!;
    try {
      const content = await item.read();
      const isFile = content instanceof Uint8Array;
      if (isFile) hashes[index] = await sha256(content);
      const image = isFile ? await decodeImage(content, { ...options, name: item.name }) : toRgb(content, item.name);
      options.signal?.throwIfAborted();
      all.set(preprocess(image, options.size), index * record);
    } catch (error) {
      if (options.strict || !(error instanceof IdatError)) throw error;
      failures.push({ index, reason: error.message.replace(`${item.name}: `, '') });
    }
    options.onProgress?.(++done, items.length);
  });
  failures.sort((a, b) => a.index - b.index);
  const failed = new Set(failures.map(({ index }) => index));
  const records = items.map((_, index) => index).filter((index) => !failed.has(index));
  const skipped = failures.map(({ index, reason }) => ({ name: items[index]!.name, reason }));
  const [first] = skipped;
  if (records.length === 0) {
    const what = `none of the ${items.length} images can be read; the first, ${first!.name}`;
    throw new IdatError('data.all-unreadable', `${what}: ${first!.reason}`);
  }
  const [labels, keys, fileHashes] = [
    records.map((index) => items[index]!.label),
    records.map((index) => items[index]!.key ?? items[index]!.name),
    records.map((index) => hashes[index]!),
  ];
  return {
    count: records.length,
    size: options.size,
    labels: Int32Array.from(labels),
    names: records.map((index) => items[index]!.name),
    keys,
    fileHashes,
    skipped,
    // as data/node/pixels.ts makes it: a run knows its images again wherever it goes on
    fingerprint: await sha256(JSON.stringify(keys.map((key, i) => [key, labels[i], fileHashes[i]]))),
    pixelsKey: await sha256(JSON.stringify(['tab', options.size, options.orient, fileHashes])),
    fromCache: false,
    cacheProblem: null,
    read: async (indices) => {
      const out = new Uint8Array(indices.length * record);
      for (const [i, index] of Array.from(indices).entries()) {
        const at = records[index]! * record;
        out.set(all.subarray(at, at + record), i * record);
      }
      return out;
    },
    close: async () => {},
  };
}

function reserve(bytes: number): Uint8Array {
  const noRoom = (cause?: unknown) => {
    const what = `the images have ${(bytes / 1e9).toFixed(1)} GB of pixels, which this tab cannot hold`;
    return new IdatError('data.memory', `${what}; give fewer images, or train in a terminal`, { cause });
  };
  if (bytes > PIXELS_IN_MEMORY) throw noRoom();
  try {
    return new Uint8Array(bytes);
  } catch (error) {
    throw noRoom(error);
  }
}
