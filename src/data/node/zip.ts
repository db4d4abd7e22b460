/**
 * A zip as a file tree. Reads the archive in place (files/zip.ts), so that one of many gigabytes needs little memory.
 */
import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { IdatError } from '../../errors.js';
import { checkZipEntry, openZipArchive, type ZipArchive, type ZipEntry } from '../../files/node/zip.js';
import { addParents, type FileTree, isHiddenImage, isLitter, MAX_IMAGE_BYTES, type Why } from '../file-tree.js';
import { tooLarge } from './directory.js';

/**
 * @throws IdatError `data.zip.broken`, `data.zip.escape` (an entry named `../…`), `data.zip.encrypted`,
 *   `data.zip.duplicate`, `data.zip.depth`; from `read`: `data.zip.broken` (sizes or checksum that do not fit), `data.file.too-large`
 */
export async function openZip(path: string): Promise<FileTree> {
  const archive = await openZipArchive(path).catch((error) => {
    throw broken(path, error);
  });
  try {
    const listing = listEntries(path, archive);
    const read = async (name: string, maxBytes: number) => {
      const entry = listing.entries.get(name);
      if (!entry) throw new IdatError('data.file.unreadable', `${path}: no entry ${name}`);
      return readEntry(`${path}/${name}`, archive, entry, maxBytes);
    };
    return {
      source: path,
      roots: [],
      ...listing,
      read,
      open: async (name) => {
        const bytes = await read(name, MAX_IMAGE_BYTES);
        return { bytes: bytes.length, slice: async (start, end) => Uint8Array.from(bytes.subarray(start, end)).buffer };
      },
      close: () => archive.close(),
    };
  } catch (error) {
    await archive.close();
    throw error;
  }
}

/** No file system's paths are much longer, and each folder on the way to each entry is kept. */
const MAX_DEPTH = 64;

function listEntries(path: string, archive: ZipArchive) {
  const entries = new Map<string, ZipEntry>();
  const folders = new Set<string>();
  const passedOver = new Map<string, Why>();
  for (const entry of archive.entries) {
    const name = entry.name.replace(/^(\.\/)+/, '');
    if (isLitter(name) && isHiddenImage(name)) passedOver.set(name, 'litter');
    if (name === '' || isLitter(name)) continue;
    if (name.split('/', MAX_DEPTH + 2).length > MAX_DEPTH + 1) {
      const what = `an entry lies more than ${MAX_DEPTH} folders deep (${name.slice(0, 40)}…)`;
      throw new IdatError('data.zip.depth', `${path}: ${what}; pack the data set without them`);
    }
    addParents(name, folders);
    if (name.endsWith('/')) continue;
    if (entry.encrypted) {
      throw new IdatError('data.zip.encrypted', `${path}: ${name} is encrypted; unpack it and give the folder`);
    }
    if (!entry.stored && !entry.deflated) {
      throw new IdatError(
        'data.zip.method',
        `${path}: ${name} is packed by method ${entry.method}, idat reads stored and deflated entries; pack it again or give the folder`,
      );
    }
    // Which of two entries of one name counts is up to the reader of the zip: an old way to smuggle a file past a check.
    if (entries.has(name)) throw new IdatError('data.zip.duplicate', `${path}: holds ${name} twice; pack it again`);
    if (entry.symbolicLink) passedOver.set(name, 'link');
    else entries.set(name, entry);
  }
  return { entries, files: new Set(entries.keys()), folders, passedOver, outside: new Set<string>() };
}

/**
 * Reads and inflates by hand what yauzl would stream: no chain of streams for each small image, and the limit on the output
 * is one option of zlib.
 */
async function readEntry(name: string, archive: ZipArchive, entry: ZipEntry, maxBytes: number): Promise<Uint8Array> {
  const size = Math.max(entry.bytes, entry.packedBytes);
  if (size > maxBytes) throw tooLarge(name, size, maxBytes);
  try {
    const start = await archive.dataStart(entry);
    const packed = Buffer.alloc(entry.packedBytes);
    if ((await archive.read(packed, start)) !== packed.length) throw new Error('the zip ends within it');
    const bytes = entry.deflated ? await inflate(packed, entry.bytes) : packed;
    checkZipEntry(entry, bytes);
    return bytes;
  } catch (error) {
    throw new IdatError(
      'data.zip.broken',
      `${name}: damaged zip entry (${messageOf(error)}); pack or fetch the zip again`,
      {
        cause: error,
      },
    );
  }
}

const inflateRaw = promisify(zlib.inflateRaw) as (bytes: Uint8Array, options: zlib.ZlibOptions) => Promise<Buffer>;

/** Stops as soon as there are more bytes than promised: an entry that lies cannot fill the memory. */
async function inflate(packed: Uint8Array, promisedBytes: number): Promise<Buffer> {
  return inflateRaw(packed, { maxOutputLength: Math.max(promisedBytes, 1) }).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'ERR_BUFFER_TOO_LARGE'
      ? new Error(`it holds more than the ${promisedBytes} bytes it promises`)
      : error;
  });
}

function broken(path: string, error: unknown): IdatError {
  const reason = messageOf(error);
  if (/^(absolute path|invalid relative path|invalid characters)/.test(reason)) {
    return new IdatError('data.zip.escape', `${path}: refused, an entry would leave the data set (${reason})`, {
      cause: error,
    });
  }
  if (/encrypt/.test(reason)) {
    return new IdatError('data.zip.encrypted', `${path}: is encrypted; unpack it and give the folder`, {
      cause: error,
    });
  }
  return new IdatError(
    'data.zip.broken',
    `${path}: not a usable zip (${reason.replace(/\.$/, '')}); pack or fetch it again`,
    {
      cause: error,
    },
  );
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
