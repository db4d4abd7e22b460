/**
 * Zips byte by byte, for tests that need what no packer would write: names that escape, sizes that are lies, encryption flags.
 */
import zlib, { deflateRawSync } from 'node:zlib';

export interface CraftedEntry {
  name: string;
  data: Uint8Array | string;
  deflate?: boolean;
  /** What the entry claims instead of the truth. */
  claimedBytes?: number;
  claimedCrc?: number;
  encrypted?: boolean;
  /** Unix mode, e.g. 0o120777 for a symbolic link. */
  mode?: number;
}

export function craftZip(entries: CraftedEntry[]): Buffer {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const entry of entries) {
    const name = Buffer.from(entry.name);
    const data = Buffer.from(entry.data as string);
    const packed = entry.deflate ? deflateRawSync(data) : data;
    const common = Buffer.alloc(26); // from "version needed" to "extra field length", alike in both headers
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(0x800 | (entry.encrypted ? 1 : 0), 2);
    common.writeUInt16LE(entry.deflate ? 8 : 0, 4);
    common.writeUInt32LE(entry.claimedCrc ?? zlib.crc32(data), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(entry.claimedBytes ?? data.length, 18);
    common.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common, name, packed]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE((entry.mode ?? 0o100644) * 2 ** 16, 6);
    rest.writeUInt32LE(offset, 10);
    const madeOnUnix = Buffer.from([20, 3]);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02', 'latin1'), madeOnUnix, common, rest, name]));
    locals.push(local);
    offset += local.length;
  }
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(Buffer.concat(directory).length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, ...directory, end]);
}
