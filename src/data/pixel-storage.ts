/**
 * Where decoded images lie while a run reads them: equal-sized records, in memory or in a file.
 */
import type { FileHandle } from 'node:fs/promises';

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

/** Fills `out` from `position` on, however little a single read gives. */
export async function readFully(handle: FileHandle, out: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < out.length; ) {
    const { bytesRead } = await handle.read(out, done, out.length - done, position + done);
    if (bytesRead === 0) throw new Error(`the file ends ${out.length - done} bytes early`);
    done += bytesRead;
  }
}

/** Writes all of `bytes`: on a disk that fills up, a single write may write less than asked without an error. */
export async function writeFully(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

function closed(): never {
  throw new Error('the pixel store is closed');
}
