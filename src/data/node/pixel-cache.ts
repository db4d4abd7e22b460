/**
 * Decoded images kept on disk between runs.
 *
 * A cache file is: the records one after the other; a JSON footer; 4 bytes, little-endian, the footer's length; the footer's
 * sha256; 8 bytes that say what the file is. The footer carries the sha256 of the records; it stands at the end because that
 * is known last. A file that fails any of this is treated as absent.
 */
import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { useCacheFile } from '../../files/node/cache-files.js';
import { identityText, thisProcess } from '../../files/node/process-identity.js';
import { readFully, writeFully } from '../../files/node/read-write.js';
import { fileStorage, memoryStorage, type PixelStorage } from './pixel-storage.js';

const MAGIC = Buffer.from('idatpix1', 'latin1');
const TAIL_BYTES = 4 + 32 + MAGIC.length;
const MAX_FOOTER_BYTES = 256 * 2 ** 20;

export interface CacheShape {
  /** What the records were made from and how, as 64 hex digits. */
  key: string;
  records: number;
  recordBytes: number;
}

/** An image that could not be decoded; its record is zero. */
export interface Failure {
  record: number;
  code: string;
  reason: string;
}

interface Footer extends CacheShape {
  failures: Failure[];
  /** Of all records. */
  sha256: string;
}

/**
 * Opens a cache after reading it through once, to check it.
 *
 * @param options.inMemory keep the records in memory rather than read them from the file later
 * @returns null when there is no such file, or it is damaged, half-written or made from something else
 * @throws the signal's reason
 */
export async function openCache(
  path: string,
  shape: CacheShape,
  options: { inMemory: boolean; signal: AbortSignal | undefined },
): Promise<{ storage: PixelStorage; failures: Failure[] } | null> {
  const handle = await open(path, 'r').catch(() => null);
  if (!handle) return null;
  const onDisk = fileStorage(handle, shape.records, shape.recordBytes);
  try {
    const footer = await readFooter(handle, shape);
    const memory = options.inMemory ? new Uint8Array(shape.records * shape.recordBytes) : null;
    const digest = createHash('sha256');
    let at = 0;
    for await (const piece of onDisk.pieces()) {
      options.signal?.throwIfAborted();
      digest.update(piece);
      memory?.set(piece, at);
      at += piece.length;
    }
    if (digest.digest('hex') !== footer.sha256) throw new Error('the records differ from their checksum');
    await useCacheFile(dirname(path), path);
    if (!memory) return { storage: onDisk, failures: footer.failures };
    await onDisk.close();
    return { storage: memoryStorage(memory, shape.recordBytes), failures: footer.failures };
  } catch {
    await onDisk.close();
    options.signal?.throwIfAborted();
    return null;
  }
}

async function readFooter(handle: FileHandle, { key, records, recordBytes }: CacheShape): Promise<Footer> {
  const { size } = await handle.stat();
  const tail = Buffer.alloc(TAIL_BYTES);
  await readFully(handle, tail, Math.max(size - TAIL_BYTES, 0));
  const footerBytes = tail.readUInt32LE(0);
  const expectedSize = records * recordBytes + footerBytes + TAIL_BYTES;
  if (!tail.subarray(36).equals(MAGIC) || footerBytes > MAX_FOOTER_BYTES || size !== expectedSize) {
    throw new Error('not a whole cache of this shape');
  }
  const json = Buffer.alloc(footerBytes);
  await readFully(handle, json, records * recordBytes);
  if (!sha256(json).equals(tail.subarray(4, 36))) throw new Error('the footer differs from its checksum');
  const footer = JSON.parse(json.toString()) as Footer;
  if (footer.key !== key) throw new Error('made from something else');
  return footer;
}

/** Writes what lies in memory to `path`, which appears only when complete. */
export async function saveCache(
  path: string,
  shape: CacheShape,
  storage: PixelStorage,
  failures: Failure[],
): Promise<void> {
  const temporary = await createTemporary(dirname(path), true);
  try {
    let at = 0;
    for await (const piece of storage.pieces()) {
      await writeFully(temporary.handle, piece, at);
      at += piece.length;
    }
    await seal(temporary, path, shape, storage, failures);
    await temporary.handle.close();
  } catch (error) {
    await temporary.discard();
    throw error;
  }
}

/**
 * Makes a temporary file that holds all records a cache: appends the footer and gives it its name.
 * Not synced to the disk first: should the power fail, the checksums tell.
 */
export async function seal(
  temporary: TemporaryFile,
  path: string,
  shape: CacheShape,
  storage: PixelStorage,
  failures: Failure[],
): Promise<void> {
  const digest = createHash('sha256');
  for await (const piece of storage.pieces()) digest.update(piece);
  const footer: Footer = { ...shape, failures, sha256: digest.digest('hex') };
  const json = Buffer.from(JSON.stringify(footer));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(json.length);
  const end = Buffer.concat([json, length, sha256(json), MAGIC]);
  await writeFully(temporary.handle, end, shape.records * shape.recordBytes);
  await rename(temporary.path, path);
  await useCacheFile(dirname(path), path);
}

export interface TemporaryFile {
  path: string;
  handle: FileHandle;
  /** Closes and removes it; harmless when that is done. */
  discard(): Promise<void>;
}

/** @param kept it will get a name of its own; otherwise it has none from the start, and so cannot be left behind */
export async function createTemporary(folder: string, kept: boolean): Promise<TemporaryFile> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, `pixels-${identityText(thisProcess())}-${randomBytes(8).toString('hex')}.tmp`);
  const handle = await open(path, 'wx+');
  if (!kept) await rm(path); // an open file outlives its name
  const discard = async () => {
    await handle.close().catch(() => {});
    await rm(path, { force: true });
  };
  return { path, handle, discard };
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest();
