/**
 * The images of a split as the network reads them, decoded and resized once and then at hand for every epoch.
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { IdatError } from '../../errors.js';
import { sha256 } from '../../files/node/sha256.js';
import { usableCores } from '../../files/node/usable-cores.js';
import { type ImageSize, pixelsOf } from '../../image-size.js';
import { eachConcurrently } from '../concurrently.js';
import type { ImageItem } from '../dataset.js';
import { PIXELS_IN_MEMORY, type PixelStore } from '../pixels.js';
import { preprocess } from '../preprocess.js';
import { DECODER_VERSION } from './decode.js';
import { contentHash, rgbOf } from './image-source.js';
import { type CacheShape, createTemporary, type Failure, openCache, saveCache, seal } from './pixel-cache.js';
import { fileStorage, memoryStorage, type PixelStorage } from './pixel-storage.js';

/** Raised whenever the same file would give other pixels, so that old caches are left alone. */
const PIPELINE_VERSION = 2;
/** Decoding runs beside this thread, resizing in it: one image more than there are cores keeps both busy. */
export const IMAGES_AT_ONCE = usableCores() + 1;

export interface LoadOptions {
  /** What the images are resized to. */
  size: ImageSize;
  /** Turn images as their EXIF orientation says. */
  orient: boolean;
  /** Throw at the first unreadable image; otherwise leave it out and list it in `skipped`. */
  strict: boolean;
  /** Folder for caches that outlive the run; null for none. It is created when needed. */
  cacheDir: string | null;
  /** Up to this many bytes of pixels are held in memory, more are read from a file; default 1 GiB. */
  memoryBytes?: number;
  /** After each image. A cache that is found counts as all at once. */
  onProgress?(done: number, total: number): void;
  signal?: AbortSignal;
}

/**
 * Decodes the images, a few at a time, or finds them in the cache.
 *
 * Every file is read once to be hashed, and once more when it has to be decoded: a file that changed is never taken for
 * the one in the cache, whatever its date says.
 *
 * @throws IdatError the first unreadable image's own when strict; `data.all-unreadable`; `data.empty`; `data.cache.full`
 *   when the pixels fit neither into memory nor onto the disk. The signal's reason, soon after it is aborted.
 */
export async function loadPixels(items: readonly ImageItem[], options: LoadOptions): Promise<PixelStore> {
  if (items.length === 0) throw new IdatError('data.empty', 'no images to load: the list is empty');
  const hashes = await hashImages(items, options);
  const shape: CacheShape = {
    key: pixelsKey(options, hashes),
    records: items.length,
    recordBytes: 3 * pixelsOf(options.size),
  };
  const { storage, failures, ...origin } =
    (await loadCached(items, shape, options)) ?? (await decodeAll(items, shape, options));
  try {
    return toStore(items, hashes, storage, failures, shape, options, origin);
  } catch (error) {
    await storage.close();
    throw error;
  }
}

interface Loaded {
  storage: PixelStorage;
  failures: Failure[];
  fromCache: boolean;
  cacheProblem: string | null;
}

const fitsInMemory = (shape: CacheShape, options: LoadOptions) =>
  shape.records * shape.recordBytes <= (options.memoryBytes ?? PIXELS_IN_MEMORY);

const cachePath = (shape: CacheShape, cacheDir: string) => join(cacheDir, `pixels-${shape.key.slice(0, 32)}.bin`);

/** sha256 of each image; one that cannot be read counts by the error it gives, which decoding will report. */
async function hashImages(
  items: readonly ImageItem[],
  { strict, signal }: { strict: boolean; signal?: AbortSignal | undefined },
): Promise<string[]> {
  const hashes = new Array<string>(items.length);
  await eachConcurrently(items.length, IMAGES_AT_ONCE, signal, async (index) => {
    try {
      hashes[index] = contentHash(await items[index]!.read());
    } catch (error) {
      if (strict || !(error instanceof IdatError)) throw error;
      hashes[index] = `unreadable: ${error.code}`;
    }
  });
  return hashes;
}

async function loadCached(
  items: readonly ImageItem[],
  shape: CacheShape,
  options: LoadOptions,
): Promise<Loaded | null> {
  if (options.cacheDir === null) return null;
  const path = cachePath(shape, options.cacheDir);
  const cached = await openCache(path, shape, { inMemory: fitsInMemory(shape, options), signal: options.signal });
  if (!cached) return null;
  const [failure] = cached.failures;
  if (failure && options.strict) {
    await cached.storage.close();
    throw new IdatError(failure.code, `${items[failure.record]!.name}: ${failure.reason}`);
  }
  options.onProgress?.(items.length, items.length);
  return { ...cached, fromCache: true, cacheProblem: null };
}

async function decodeAll(items: readonly ImageItem[], shape: CacheShape, options: LoadOptions): Promise<Loaded> {
  return fitsInMemory(shape, options) ? decodeIntoMemory(items, shape, options) : decodeIntoFile(items, shape, options);
}

async function decodeIntoMemory(items: readonly ImageItem[], shape: CacheShape, options: LoadOptions): Promise<Loaded> {
  const storage = memoryStorage(new Uint8Array(shape.records * shape.recordBytes), shape.recordBytes);
  const failures = await decodeInto(storage, items, options);
  let cacheProblem: string | null = null;
  if (options.cacheDir !== null) {
    // The pixels are at hand, so a disk that is full or not ours costs the next run its time, not this run its life.
    await saveCache(cachePath(shape, options.cacheDir), shape, storage, failures).catch(
      (error: NodeJS.ErrnoException) => {
        cacheProblem = cannotKeep(options.cacheDir!, error);
      },
    );
  }
  return { storage, failures, fromCache: false, cacheProblem };
}

async function decodeIntoFile(items: readonly ImageItem[], shape: CacheShape, options: LoadOptions): Promise<Loaded> {
  let folder = options.cacheDir ?? tmpdir();
  let kept = options.cacheDir !== null;
  let cacheProblem: string | null = null;
  const temporary = await createTemporary(folder, kept)
    .catch((error: NodeJS.ErrnoException) => {
      if (!kept || !NOT_OURS.includes(error.code ?? '')) throw error;
      cacheProblem = cannotKeep(folder, error);
      [folder, kept] = [tmpdir(), false];
      return createTemporary(folder, kept);
    })
    .catch((error) => {
      throw noRoom(folder, shape, error);
    });
  const storage = fileStorage(temporary.handle, shape.records, shape.recordBytes, kept ? undefined : temporary.discard);
  try {
    // Full length from the start: an unreadable last image is not written, and its record must still be there.
    await temporary.handle.truncate(shape.records * shape.recordBytes);
    const failures = await decodeInto(storage, items, options);
    if (kept) await seal(temporary, cachePath(shape, folder), shape, storage, failures);
    return { storage, failures, fromCache: false, cacheProblem };
  } catch (error) {
    await temporary.discard();
    const onDisk = ['ENOSPC', 'EDQUOT', 'EFBIG', 'EIO', 'EROFS'].includes((error as NodeJS.ErrnoException)?.code ?? '');
    throw onDisk ? noRoom(folder, shape, error) : error;
  }
}

/** A folder that can be read at most: what is there serves, and what is not goes elsewhere for as long as the run. */
const NOT_OURS = ['EROFS', 'EACCES', 'EPERM'];

const cannotKeep = (folder: string, { code, message }: NodeJS.ErrnoException): string =>
  `${folder}: cannot keep decoded images here (${code ?? message})`;

function noRoom(folder: string, shape: CacheShape, error: unknown): IdatError {
  const gigabytes = ((shape.records * shape.recordBytes) / 1e9).toFixed(1);
  const reason = (error as NodeJS.ErrnoException).code;
  return new IdatError(
    'data.cache.full',
    `${folder}: cannot store ${gigabytes} GB of decoded images (${reason}), and they are too many for memory; free space or choose another cache folder`,
    { cause: error },
  );
}

/** Decodes every image to its record. Unreadable ones are returned, or thrown when strict. */
async function decodeInto(
  storage: PixelStorage,
  items: readonly ImageItem[],
  options: LoadOptions,
): Promise<Failure[]> {
  const failures: Failure[] = [];
  let done = 0;
  await eachConcurrently(items.length, IMAGES_AT_ONCE, options.signal, async (record) => {
    const item = items[record]!;
    try {
      const image = await rgbOf(await item.read(), { orient: options.orient, name: item.name });
      options.signal?.throwIfAborted();
      await storage.write(record, preprocess(image, options.size));
    } catch (error) {
      if (options.strict || !(error instanceof IdatError)) throw error;
      // The cache may be met under another name, so the reason is kept without this one.
      const reason = error.message.startsWith(`${item.name}: `)
        ? error.message.slice(item.name.length + 2)
        : error.message;
      failures.push({ record, code: error.code, reason });
    }
    options.onProgress?.(++done, items.length);
  });
  return failures.sort((a, b) => a.record - b.record);
}

function toStore(
  items: readonly ImageItem[],
  hashes: readonly string[],
  storage: PixelStorage,
  failures: readonly Failure[],
  { recordBytes }: CacheShape,
  options: LoadOptions,
  origin: Pick<PixelStore, 'fromCache' | 'cacheProblem'>,
): PixelStore {
  const failed = new Set(failures.map(({ record }) => record));
  const records = items.map((_, record) => record).filter((record) => !failed.has(record));
  const skipped = failures.map(({ record, reason }) => ({ name: items[record]!.name, reason }));
  if (records.length === 0) {
    const [first] = skipped;
    throw new IdatError(
      'data.all-unreadable',
      `none of the ${items.length} images can be read; the first, ${first!.name}: ${first!.reason}`,
    );
  }
  return {
    count: records.length,
    size: options.size,
    labels: Int32Array.from(records, (record) => items[record]!.label),
    names: records.map((record) => items[record]!.name),
    keys: records.map((record) => keyOf(items[record]!)),
    fileHashes: records.map((record) => hashes[record]!),
    skipped,
    fingerprint: fingerprintOfImages(
      records.map((record) => [keyOf(items[record]!), items[record]!.label, hashes[record]!] as const),
    ),
    pixelsKey: pixelsKey(
      options,
      records.map((record) => hashes[record]!),
    ),
    ...origin,
    read: async (indices) => {
      const out = new Uint8Array(indices.length * recordBytes);
      const reads = Array.from(indices, (index, i) => {
        const record = records[index];
        if (record === undefined) throw new RangeError(`image ${index} of ${records.length} was asked for`);
        return storage.read(record, out.subarray(i * recordBytes, (i + 1) * recordBytes));
      });
      await Promise.all(reads);
      return out;
    },
    close: () => storage.close(),
  };
}

const keyOf = ({ key, name }: ImageItem): string => key ?? name;

/** What a split is known by: its images in order, each by key, label and hash of its content. */
export const fingerprintOfImages = (images: readonly (readonly [key: string, label: number, hash: string])[]): string =>
  sha256(JSON.stringify(images));

/** The fingerprint that a store of these images has, where all of them can be read; without decoding one. */
export async function fingerprintOf(items: readonly ImageItem[], signal?: AbortSignal): Promise<string> {
  const hashes = await hashImages(items, { strict: false, signal });
  return fingerprintOfImages(items.map((item, i) => [keyOf(item), item.label, hashes[i]!] as const));
}

const pixelsKey = ({ size, orient }: LoadOptions, hashes: readonly string[]): string =>
  sha256(JSON.stringify([PIPELINE_VERSION, DECODER_VERSION, size, orient, hashes]));
