/**
 * A zip as a file tree, read in place: the directory at its end once, then single entries by their offset, so that a zip of
 * many gigabytes needs little memory. The only file that imports yauzl.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { promisify } from 'node:util';
import zlib from 'node:zlib';
import yauzl from 'yauzl';
import { IdatError } from '../errors.js';
import { tooLarge } from './directory.js';
import { addParents, type FileTree, isLitter } from './file-tree.js';

/**
 * @throws IdatError `data.zip.broken`, `data.zip.escape` (an entry named `../…`), `data.zip.encrypted`,
 *   `data.zip.duplicate`; from `read`: `data.zip.broken` (sizes or checksum that do not fit), `data.file.too-large`
 */
export async function openZip(path: string): Promise<FileTree> {
  const handle = await open(path, 'r');
  const reader = new HandleReader(handle);
  try {
    const { size } = await handle.stat();
    const zip = await yauzl.fromRandomAccessReaderPromise(reader, size, { autoClose: false });
    const listing = await listEntries(path, zip);
    reader.stopReadingAhead();
    return {
      source: path,
      ...listing,
      read: async (name, maxBytes) => {
        const entry = listing.entries.get(name);
        if (!entry) throw new IdatError('data.file.unreadable', `${path}: no entry ${name}`);
        return readEntry(`${path}/${name}`, { handle, zip, entry }, maxBytes);
      },
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error instanceof IdatError ? error : broken(path, error);
  }
}

async function listEntries(path: string, zip: yauzl.ZipFile) {
  const entries = new Map<string, yauzl.Entry>();
  const folders = new Set<string>();
  const refused = new Map<string, string>();
  for await (const entry of zip.eachEntry()) {
    const name = entry.fileName.replace(/^(\.\/)+/, '');
    if (name === '' || isLitter(name)) continue;
    addParents(name, folders);
    if (name.endsWith('/')) continue;
    if (entry.isEncrypted()) {
      throw new IdatError('data.zip.encrypted', `${path}: ${name} is encrypted; unpack it and give the folder`);
    }
    if (entry.compressionMethod !== STORED && entry.compressionMethod !== DEFLATED) {
      throw new IdatError(
        'data.zip.method',
        `${path}: ${name} is packed by method ${entry.compressionMethod}, idat reads stored and deflated entries; pack it again or give the folder`,
      );
    }
    // Which of two entries of one name counts is up to the reader of the zip: an old way to smuggle a file past a check.
    if (entries.has(name)) throw new IdatError('data.zip.duplicate', `${path}: holds ${name} twice; pack it again`);
    if (isSymbolicLink(entry)) refused.set(name, 'is a symbolic link, which idat does not follow in a zip');
    else entries.set(name, entry);
  }
  return { entries, files: new Set(entries.keys()), folders, refused };
}

function isSymbolicLink(entry: yauzl.Entry): boolean {
  const madeOnUnix = entry.versionMadeBy >>> 8 === 3;
  return madeOnUnix && ((entry.externalFileAttributes >>> 16) & 0o170000) === 0o120000;
}

/**
 * Reads and inflates by hand what yauzl would stream: no chain of streams for each small image, and the limit on the output
 * is one option of zlib.
 */
async function readEntry(
  name: string,
  { handle, zip, entry }: { handle: FileHandle; zip: yauzl.ZipFile; entry: yauzl.Entry },
  maxBytes: number,
): Promise<Uint8Array> {
  const size = Math.max(entry.uncompressedSize, entry.compressedSize);
  if (size > maxBytes) throw tooLarge(name, size, maxBytes);
  try {
    const { fileDataStart } = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
    const packed = Buffer.alloc(entry.compressedSize);
    const { bytesRead } = await handle.read(packed, 0, packed.length, fileDataStart);
    if (bytesRead !== packed.length) throw new Error('the zip ends within it');
    const bytes = entry.compressionMethod === DEFLATED ? await inflate(packed, entry.uncompressedSize) : packed;
    if (bytes.length !== entry.uncompressedSize) {
      throw new Error(`it promises ${entry.uncompressedSize} bytes and holds ${bytes.length}`);
    }
    // Node before 20.15 lacks crc32; decoding then is the only check.
    if (zlib.crc32 && zlib.crc32(bytes) !== entry.crc32) throw new Error('its checksum does not match');
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

const STORED = 0;
const DEFLATED = 8;

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

/**
 * While the zip's directory is listed, yauzl asks for it in pieces of some fifty bytes, each a system call of its own: 134 µs
 * an entry, 40 s for 300,000. So reads come from a window of 1 MiB until the listing is done (11 to 21 µs).
 */
class HandleReader extends yauzl.RandomAccessReader {
  private window: { start: number; bytes: Buffer } | null = { start: 0, bytes: Buffer.alloc(0) };

  constructor(private readonly handle: FileHandle) {
    super();
  }

  stopReadingAhead(): void {
    this.window = null;
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null, bytesRead?: number) => void,
  ): void {
    this.fill(buffer, offset, length, position).then(
      (bytesRead) => callback(null, bytesRead),
      (error) => callback(error),
    );
  }

  private async fill(buffer: Buffer, offset: number, length: number, position: number): Promise<number> {
    const window = this.window;
    if (!window || length > WINDOW_BYTES) return (await this.handle.read(buffer, offset, length, position)).bytesRead;
    if (position < window.start || position + length > window.start + window.bytes.length) {
      const bytes = Buffer.alloc(WINDOW_BYTES);
      const { bytesRead } = await this.handle.read(bytes, 0, WINDOW_BYTES, position);
      Object.assign(window, { start: position, bytes: bytes.subarray(0, bytesRead) });
    }
    const from = position - window.start;
    return window.bytes.copy(buffer, offset, from, from + length);
  }
}

const WINDOW_BYTES = 2 ** 20;
