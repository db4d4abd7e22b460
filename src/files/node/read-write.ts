/** Reading and writing a part of a file as a whole. */
import type { FileHandle } from 'node:fs/promises';

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
