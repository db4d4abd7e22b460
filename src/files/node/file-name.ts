/** Names of files, which are bytes to the system and text to people. */
import { isUtf8 } from 'node:buffer';

/**
 * The name as text, composed (NFC), so that an é is one é however a disk or a zip writes it. Bytes that are no UTF-8 are
 * shown as escapes, `caf\xE9`: which letters they were meant to be, nobody knows.
 */
export function readableName(bytes: Uint8Array): string {
  if (isUtf8(bytes)) return Buffer.from(bytes).toString('utf8').normalize('NFC');
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const length = [1, 2, 3, 4].find((count) => at + count <= bytes.length && isUtf8(bytes.subarray(at, at + count)));
    if (length === undefined) text += `\\x${bytes[at]!.toString(16).toUpperCase().padStart(2, '0')}`;
    else text += Buffer.from(bytes.subarray(at, at + length)).toString('utf8');
    at += length ?? 1;
  }
  return text.normalize('NFC');
}

/** A path as the system takes it: text where it is UTF-8, else bytes. */
export type SystemPath = string | Buffer;

export const systemPath = (bytes: Buffer): SystemPath => (isUtf8(bytes) ? bytes.toString('utf8') : bytes);

/** A name in a folder. */
export function inFolder(folder: SystemPath, name: Buffer): SystemPath {
  return systemPath(Buffer.concat([Buffer.from(folder), Buffer.from('/'), name]));
}
