import { closeSync, openSync, readSync } from 'node:fs';
import { IdatError } from '../../errors.js';

/** Bytes of a file. @throws IdatError when the file ends before */
export function readBytes(path: string, offset: number, byteLength: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(byteLength);
  const file = openSync(path, 'r');
  try {
    for (let done = 0; done < byteLength; ) {
      const read = readSync(file, bytes, done, Math.min(byteLength - done, 2 ** 30), offset + done);
      if (read === 0) {
        throw new IdatError('backbone.tensor', `${path}: the file became shorter while it was read; get it again`);
      }
      done += read;
    }
  } finally {
    closeSync(file);
  }
  return bytes;
}
