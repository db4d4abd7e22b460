/**
 * Zip archives, read in place: the directory at the end once, then single entries by their offset, so that an archive of
 * many gigabytes needs little memory. The only file that imports yauzl.
 *
 * What is wrong with an archive comes as a plain Error with the reason: only the caller knows what the archive is for.
 */

import { isUtf8 } from 'node:buffer';
import { type FileHandle, open } from 'node:fs/promises';
import zlib from 'node:zlib';
import yauzl from 'yauzl';
import { readableName } from './file-name.js';

/** One entry, as the directory describes it. Sizes are what it claims, not what it holds. */
export interface ZipEntry {
  /** Neither absolute nor leading out of the archive. */
  readonly name: string;
  readonly stored: boolean;
  readonly deflated: boolean;
  /** The number of the method it is packed by. */
  readonly method: number;
  readonly packedBytes: number;
  readonly bytes: number;
  readonly crc32: number;
  readonly encrypted: boolean;
  readonly symbolicLink: boolean;
}

export interface ZipArchive {
  /** In the order of the directory. A name may occur twice. */
  readonly entries: readonly ZipEntry[];
  /** Where an entry's packed bytes begin. @throws Error when they do not lie within the file */
  dataStart(entry: ZipEntry): Promise<number>;
  /** Fills `out` with packed bytes from `position` of the file on; returns how many there were. */
  read(out: Uint8Array, position: number): Promise<number>;
  close(): Promise<void>;
}

/** @throws Error when the file is no zip, or one whose directory contradicts itself */
export async function openZipArchive(path: string): Promise<ZipArchive> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    const reader = new HandleReader(handle, Math.min(WINDOW_BYTES, size));
    const zip = await yauzl.fromRandomAccessReaderPromise(reader, size, { autoClose: false, decodeStrings: false });
    const found = new Map<ZipEntry, yauzl.Entry>();
    for await (const entry of zip.eachEntry()) found.set(describe(entry), entry);
    reader.stopReadingAhead();
    checkOverlaps([...found.values()]);
    return {
      entries: [...found.keys()],
      dataStart: async (entry) =>
        (await zip.readLocalFileHeaderPromise(found.get(entry)!, { minimal: true })).fileDataStart,
      read: async (out, position) => (await handle.read(out, 0, out.length, position)).bytesRead,
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Of an entry's own header, without the name. */
const LOCAL_HEADER_BYTES = 30;

/**
 * Entries that share bytes cost as much time each as if they did not: a small archive may hold what takes hours to unpack.
 * No packer writes them.
 * @see Fifield, A better zip bomb, WOOT 2019
 */
function checkOverlaps(entries: readonly yauzl.Entry[]): void {
  const sorted = [...entries].sort((a, b) => a.relativeOffsetOfLocalHeader - b.relativeOffsetOfLocalHeader);
  for (const [i, next] of sorted.entries()) {
    const entry = sorted[i - 1];
    if (!entry) continue;
    const end = entry.relativeOffsetOfLocalHeader + LOCAL_HEADER_BYTES + entry.compressedSize;
    if (end > next.relativeOffsetOfLocalHeader) {
      throw new Error(`its entries ${entry.fileName} and ${next.fileName} overlap`);
    }
  }
}

const STORED = 0;
const DEFLATED = 8;

/** Of the flags of an entry: that its name is UTF-8. */
const NAME_IS_UTF8 = 0x800;

/**
 * The name, composed. Packers on Linux and macOS write UTF-8 without saying so, and no other encoding gives valid UTF-8 by
 * chance; what is none is CP437, as the format has it.
 *
 * @throws Error for a name that leads out of the archive
 */
function nameOf({ generalPurposeBitFlag: flags, fileNameRaw: raw, extraFields }: yauzl.Entry): string {
  const saidOrSeen = flags & NAME_IS_UTF8 || isUtf8(raw) ? NAME_IS_UTF8 : 0;
  const decoded = yauzl.getFileNameLowLevel(saidOrSeen, raw, extraFields, false);
  const invalid = saidOrSeen && !isUtf8(raw) && decoded.includes('\uFFFD');
  const name = invalid ? readableName(raw).replace(/\\(?!x[0-9A-F]{2})/g, '/') : decoded.normalize('NFC');
  const problem = yauzl.validateFileName(invalid ? name.replaceAll('\\', '') : name);
  if (problem !== null) throw new Error(problem);
  return name;
}

function describe(entry: yauzl.Entry): ZipEntry {
  const madeOnUnix = entry.versionMadeBy >>> 8 === 3;
  return {
    name: nameOf(entry),
    stored: entry.compressionMethod === STORED,
    deflated: entry.compressionMethod === DEFLATED,
    method: entry.compressionMethod,
    packedBytes: entry.compressedSize,
    bytes: entry.uncompressedSize,
    crc32: entry.crc32,
    encrypted: entry.isEncrypted(),
    symbolicLink: madeOnUnix && ((entry.externalFileAttributes >>> 16) & 0o170000) === 0o120000,
  };
}

/** @throws Error unless the bytes are as many as the entry promises, with its checksum */
export function checkZipEntry({ bytes: promised, crc32 }: ZipEntry, bytes: Uint8Array): void {
  if (bytes.length !== promised) throw new Error(`it promises ${promised} bytes and holds ${bytes.length}`);
  // Node before 20.15 lacks crc32; decoding then is the only check.
  if (zlib.crc32 && zlib.crc32(bytes) !== crc32) throw new Error('its checksum does not match');
}

/**
 * While the archive's directory is listed, yauzl asks for it in pieces of some fifty bytes, each a system call of its own:
 * 134 µs an entry, 40 s for 300,000. So reads come from a window of 1 MiB until the listing is done (11 to 21 µs).
 */
class HandleReader extends yauzl.RandomAccessReader {
  private window: { start: number; bytes: Buffer } | null = { start: 0, bytes: Buffer.alloc(0) };

  constructor(
    private readonly handle: FileHandle,
    private readonly windowBytes: number,
  ) {
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
    if (!window || length > this.windowBytes)
      return (await this.handle.read(buffer, offset, length, position)).bytesRead;
    if (position < window.start || position + length > window.start + window.bytes.length) {
      const bytes = Buffer.allocUnsafe(this.windowBytes);
      const { bytesRead } = await this.handle.read(bytes, 0, bytes.length, position);
      Object.assign(window, { start: position, bytes: bytes.subarray(0, bytesRead) });
    }
    const from = position - window.start;
    return window.bytes.copy(buffer, offset, from, from + length);
  }
}

const WINDOW_BYTES = 2 ** 20;
