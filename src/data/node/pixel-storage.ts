/**
 * Where decoded images lie while a run reads them: equal-sized records, in memory or in a file.
 */
import type { FileHandle } from 'node:fs/promises';
import { readFully, writeFully } from '../../files/node/read-write.js';

export interface PixelStorage {
  write(record: number, bytes: Uint8Array): Promise<void>;
  /** Fills `out`, which is one record long. */
  read(record: number, out: Uint8Array): Promise<void>;
  /** All records one after the other, in pieces of some MiB. */
  pieces(): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

const PIECE_BYTES = 8 * 2 ** 20;

/** @param all the records one after the other */
export function memoryStorage(all: Uint8Array, recordBytes: number): PixelStorage {
  let bytes: Uint8Array | null = all;
  const opened = () => bytes ?? closed();
  return {
    write: async (record, pixels) => opened().set(pixels, record * recordBytes),
    read: async (record, out) => out.set(opened().subarray(record * recordBytes, (record + 1) * recordBytes)),
    async *pieces() {
      for (let at = 0; at < all.length; at += PIECE_BYTES) yield opened().subarray(at, at + PIECE_BYTES);
    },
    close: async () => {
      bytes = null;
    },
  };
}

/** @param onClose runs after the file is closed, e.g. to remove it */
export function fileStorage(
  handle: FileHandle,
  records: number,
  recordBytes: number,
  onClose: () => Promise<void> = async () => {},
): PixelStorage {
  let open = true;
  const totalBytes = records * recordBytes;
  return {
    write: (record, pixels) => writeFully(handle, pixels, record * recordBytes),
    read: async (record, out) => {
      if (!open) closed();
      await readFully(handle, out, record * recordBytes);
    },
    async *pieces() {
      for (let at = 0; at < totalBytes; at += PIECE_BYTES) {
        const piece = new Uint8Array(Math.min(PIECE_BYTES, totalBytes - at));
        await readFully(handle, piece, at);
        yield piece;
      }
    },
    close: async () => {
      if (!open) return;
      open = false;
      await handle.close();
      await onClose();
    },
  };
}

function closed(): never {
  throw new Error('the pixel store is closed');
}
