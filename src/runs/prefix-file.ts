/**
 * What frozen prefixes compute, kept in a file: records of equal size, one for each image, each with a checksum.
 *
 * A record is its float32 numbers, a mark and a CRC-32 of the two, started from the file's key and the record's position.
 * So whatever lies where a record should be and is not that record, by being never written, half written, rotten or
 * somebody else's, counts as missing, and nothing has to be written in any order. Processes with the same key write the
 * same bytes to the same places, so they may share a file.
 */
import { randomBytes } from 'node:crypto';
import { constants, type FileHandle, mkdir, open, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { useCacheFile } from '../files/node/cache-files.js';
import { readFully, writeFully } from '../files/node/read-write.js';
import {
  newRecord,
  type PrefixFile,
  type PrefixFileShape,
  type PrefixFiles,
  recordBytes,
  trailerOf,
} from '../train/prefix-store.js';

/** Nothing that was never written reads as this. */
const MARK = 0x78667069;
/** A file takes this part of the free space at most: the run itself has to write as well, and a /tmp may be memory. */
const LARGEST_SHARE = 0.5;

/**
 * Files of records in a folder that later runs use as well, or nameless ones that are gone with the run.
 * @param folder null: the system's temporary folder
 */
export const prefixFiles = (folder: string | null): PrefixFiles => ({
  place: folder ?? 'the temporary folder',
  lasting: folder !== null,
  open: (shape) => openPrefixFile(folder, shape),
});

/**
 * Opens the file of this key, or makes it. One that may not be written is read.
 * @param folder null: a file without a name in the system's temporary folder, gone when closed or when the process ends
 * @throws the system's error; ENOSPC also when the file would take more than half of the free space
 */
async function openPrefixFile(folder: string | null, shape: PrefixFileShape): Promise<PrefixFile> {
  const { handle, refused } = folder === null ? await openTemporary() : await openNamed(folder, shape.key);
  try {
    if (!refused) await checkSpace(folder ?? tmpdir(), handle, shape);
  } catch (error) {
    await handle.close();
    throw error;
  }
  const length = recordBytes(shape.size);
  return {
    async read(index) {
      const record = newRecord(shape.size);
      try {
        await readFully(handle, bytesOf(record), index * length);
      } catch {
        return null; // the file ends before it, or the disk fails
      }
      const [mark, checksum] = trailerOf(record);
      return mark === MARK && checksum === checksumOf(record, shape.key, index) ? record : null;
    },
    async write(index, record) {
      if (refused) throw refused;
      const trailer = trailerOf(record);
      trailer[0] = MARK;
      trailer[1] = checksumOf(record, shape.key, index);
      await writeFully(handle, bytesOf(record), index * length);
    },
    close: () => handle.close(),
  };
}

/** A file, and why it cannot be written where it can only be read. */
interface Opened {
  readonly handle: FileHandle;
  readonly refused?: Error;
}

async function openNamed(folder: string, key: string): Promise<Opened> {
  const path = join(folder, `prefix-${key.slice(0, 32)}.bin`);
  const opened = await openToWrite(folder, path).catch(async (refused: Error): Promise<Opened> => {
    const handle = await open(path, constants.O_RDONLY).catch(() => null);
    if (!handle) throw refused;
    return { handle, refused };
  });
  await useCacheFile(folder, path);
  return opened;
}

async function openToWrite(folder: string, path: string): Promise<Opened> {
  await mkdir(folder, { recursive: true });
  return { handle: await open(path, constants.O_RDWR | constants.O_CREAT) };
}

async function openTemporary(): Promise<Opened> {
  const path = join(tmpdir(), `idat-prefix-${randomBytes(8).toString('hex')}.tmp`);
  const handle = await open(path, 'wx+');
  await rm(path); // an open file outlives its name, and so cannot be left behind
  return { handle };
}

async function checkSpace(folder: string, handle: FileHandle, { records, size }: PrefixFileShape): Promise<void> {
  const [free, own] = await Promise.all([statfs(folder), handle.stat()]);
  const freeBytes = free.bavail * free.bsize;
  const missingBytes = records * recordBytes(size) - 512 * own.blocks;
  if (missingBytes <= LARGEST_SHARE * freeBytes) return;
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
  const message = `needs ${gigabytes(missingBytes)} more, which is over half of the ${gigabytes(freeBytes)} that are free`;
  throw Object.assign(new Error(message), { code: 'ENOSPC' });
}

/** Of numbers and mark, as a record at this place of this file. */
function checksumOf(record: Float32Array, key: string, index: number): number {
  return crc32(bytesOf(record).subarray(0, -4), crc32(`${key}:${index}`));
}

const bytesOf = (record: Float32Array) => new Uint8Array(record.buffer, record.byteOffset, record.byteLength);
