/**
 * Zip archives in a tab: read in place from a Blob, entry by entry, and written. The only file that imports fflate.
 *
 * What is wrong with an archive comes as a plain Error with the reason: only the caller knows what the archive is for.
 *
 * @see PKWARE's APPNOTE.TXT 6.3, 4.3
 */
import { inflateSync, unzlibSync, Zip, ZipPassThrough } from 'fflate';
import { crc32 } from '../crc32.js';

export interface ZipEntry {
  /** Neither absolute nor leading out of the archive. */
  readonly name: string;
  readonly bytes: number;
  readonly symbolicLink: boolean;
  /** @throws Error when it is damaged, or packed in a way that is not read */
  read(): Promise<Uint8Array>;
}

const END_BYTES = 22;
const MAX_COMMENT_BYTES = 0xffff;
const [END, DIRECTORY, LOCAL] = [0x06054b50, 0x02014b50, 0x04034b50];
const ENCRYPTED = 1;
const [STORED, DEFLATED] = [0, 8];
/** Of the directory, which is held in memory. */
const MAX_DIRECTORY_BYTES = 256 * 2 ** 20;

/** In the order of the directory; folders are left out. @throws Error when it is no zip, or contradicts itself */
export async function readZip(blob: Blob): Promise<ZipEntry[]> {
  const tail = await part(blob, Math.max(0, blob.size - END_BYTES - MAX_COMMENT_BYTES), blob.size);
  const end = endOf(tail);
  if (end < 0) throw new Error('it is no zip, or cut short');
  const count = tail.getUint16(end + 10, true);
  const [length, start] = [tail.getUint32(end + 12, true), tail.getUint32(end + 16, true)];
  if (start === 0xffffffff || count === 0xffff) throw new Error('it is a zip of 64 bits');
  if (length > MAX_DIRECTORY_BYTES || start + length > blob.size) throw new Error('its directory lies beyond its end');
  const directory = await part(blob, start, start + length);
  const entries: ZipEntry[] = [];
  const ranges: { start: number; end: number; name: string }[] = [];
  for (let at = 0, i = 0; i < count; i++) {
    if (at + 46 > length || directory.getUint32(at, true) !== DIRECTORY) throw new Error('its directory is damaged');
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((offset) => directory.getUint16(at + offset, true));
    const stored: Stored = {
      flags: directory.getUint16(at + 8, true),
      method: directory.getUint16(at + 10, true),
      crc32: directory.getUint32(at + 16, true),
      packedBytes: directory.getUint32(at + 20, true),
      bytes: directory.getUint32(at + 24, true),
      offset: directory.getUint32(at + 42, true),
    };
    const name = nameOf(new Uint8Array(directory.buffer, directory.byteOffset + at + 46, nameBytes!));
    ranges.push({ start: stored.offset, end: stored.offset + 30 + stored.packedBytes, name });
    const madeOnUnix = directory.getUint16(at + 4, true) >>> 8 === 3;
    const symbolicLink = madeOnUnix && (directory.getUint16(at + 40, true) & 0o170000) === 0o120000;
    const { bytes } = stored;
    if (!name.endsWith('/')) entries.push({ name, bytes, symbolicLink, read: () => readEntry(blob, stored) });
    at += 46 + nameBytes! + extraBytes! + commentBytes!;
  }
  checkOverlaps(ranges);
  return entries;
}

/** Where the record at the end begins; -1 where there is none. */
function endOf(tail: DataView): number {
  for (let at = tail.byteLength - END_BYTES; at >= 0; at--) if (tail.getUint32(at, true) === END) return at;
  return -1;
}

interface Stored {
  readonly flags: number;
  readonly method: number;
  readonly crc32: number;
  readonly packedBytes: number;
  readonly bytes: number;
  readonly offset: number;
}

async function readEntry(blob: Blob, entry: Stored): Promise<Uint8Array> {
  if (entry.flags & ENCRYPTED) throw new Error('it is encrypted');
  if (entry.method !== STORED && entry.method !== DEFLATED) throw new Error(`it is packed by method ${entry.method}`);
  const header = await part(blob, entry.offset, entry.offset + 30);
  if (header.byteLength < 30 || header.getUint32(0, true) !== LOCAL) throw new Error('its header is damaged');
  const start = entry.offset + 30 + header.getUint16(26, true) + header.getUint16(28, true);
  const view = await part(blob, start, start + entry.packedBytes);
  if (view.byteLength !== entry.packedBytes) throw new Error('the zip ends within it');
  const packed = new Uint8Array(view.buffer);
  const bytes = entry.method === STORED ? packed : inflated(packed, entry.bytes);
  if (bytes.length !== entry.bytes) throw new Error(`it promises ${entry.bytes} bytes and holds ${bytes.length}`);
  if (crc32(bytes) !== entry.crc32) throw new Error('its checksum does not match');
  return bytes;
}

/** Into a buffer of the promised size: an entry that lies cannot fill the memory. */
const inflated = (packed: Uint8Array, length: number): Uint8Array =>
  inflateSync(packed, { out: new Uint8Array(length) });

/** zlib's bytes, into a buffer of `length`. */
export const unzlib = (packed: Uint8Array, length: number): Uint8Array =>
  unzlibSync(packed, { out: new Uint8Array(length) });

/** Composed. @throws Error for a name that leads out of the archive, or is not UTF-8 */
function nameOf(raw: Uint8Array): string {
  let name: string;
  try {
    name = new TextDecoder('utf-8', { fatal: true }).decode(raw).normalize('NFC');
  } catch {
    throw new Error('a name in it is not UTF-8');
  }
  if (/^([A-Za-z]:|\/)|\\|\0/.test(name) || name.split('/').includes('..')) {
    throw new Error(`an entry would leave it (${name.slice(0, 100)})`);
  }
  return name;
}

/** Entries that share bytes cost as much time each as if they did not. @see Fifield, A better zip bomb, WOOT 2019 */
function checkOverlaps(ranges: { start: number; end: number; name: string }[]): void {
  const sorted = [...ranges].sort((a, b) => a.start - b.start);
  for (const [i, next] of sorted.entries()) {
    const before = sorted[i - 1];
    if (before && before.end > next.start) throw new Error(`its entries ${before.name} and ${next.name} overlap`);
  }
}

const part = async (blob: Blob, start: number, end: number): Promise<DataView> =>
  new DataView(await blob.slice(start, end).arrayBuffer());

/** Packs files as they are, without a date: equal files give equal bytes. */
export function writeZip(files: readonly { readonly name: string; readonly bytes: Uint8Array }[]): Blob {
  const parts: Uint8Array[] = [];
  let problem: Error | null = null;
  const zip = new Zip((error, data) => {
    problem ??= error;
    if (data) parts.push(data);
  });
  for (const { name, bytes } of files) {
    const entry = new ZipPassThrough(name);
    entry.mtime = new Date(1980, 0, 1);
    zip.add(entry);
    entry.push(bytes, true);
  }
  zip.end();
  if (problem) throw problem;
  return new Blob(parts as Uint8Array<ArrayBuffer>[], { type: 'application/zip' });
}
