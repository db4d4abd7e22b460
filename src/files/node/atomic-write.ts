/**
 * Writing a file so that a reader, or a crash at any moment, meets the old content or the new and never a mixture.
 */
import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { IdatError } from '../../errors.js';
import { identityText, thisProcess } from './process-identity.js';

/** The part of node:fs/promises this needs; tests pass one that fails on purpose. */
export type WriteFileSystem = Pick<typeof fs, 'open' | 'rename' | 'unlink'>;

/**
 * Writes `content` (text as UTF-8; pieces one after the other) to a temporary file in the same folder, flushes it to the
 * disk, and renames it.
 *
 * On failure the file at `path` is as it was (only a failing flush of the folder itself comes after the replacement)
 * and the temporary file is gone; a process killed half-way leaves one named `.idat-….tmp`, which names it. A symbolic link at `path`
 * is replaced, not followed; the folder must exist.
 *
 * @throws IdatError `files.write`, saying which file, how many bytes, why not, and what to do
 */
export async function writeFileAtomic(
  path: string,
  content: Uint8Array | string | readonly Uint8Array[],
  { open, rename, unlink }: WriteFileSystem = fs,
): Promise<void> {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  const pieces = bytes instanceof Uint8Array ? [bytes] : bytes;
  const folder = dirname(path);
  const temporary = join(folder, temporaryName());
  try {
    const handle = await open(temporary, 'wx');
    try {
      try {
        for (const piece of pieces) await handle.writeFile(piece); // each goes on where the one before it ended
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(temporary, path);
    } catch (error) {
      await unlink(temporary).catch(() => {}); // the first failure is the one to report
      throw error;
    }
    await syncFolder(folder, open);
  } catch (error) {
    const byteCount = pieces.reduce((sum, piece) => sum + piece.length, 0);
    throw explain(error, path, folder, byteCount);
  }
}

/** Hidden, and with its owner's name: see abandoned.ts. */
const temporaryName = (): string => `.idat-${identityText(thisProcess())}-${randomUUID()}.tmp`;

/** Makes the rename itself survive a power cut, where system and permissions allow to flush a folder. */
async function syncFolder(folder: string, open: WriteFileSystem['open']): Promise<void> {
  try {
    const handle = await open(folder, 'r');
    await handle.sync().finally(() => handle.close());
  } catch (error) {
    const cannot = ['EACCES', 'EPERM', 'EISDIR', 'EINVAL', 'EBADF', 'ENOTSUP'];
    if (!cannot.includes(errorCode(error) ?? '')) throw error;
  }
}

/** What each refusal of the system means, and what helps. */
const REASONS: Record<string, (folder: string) => string> = {
  ENOSPC: () => 'the disk is full: free some space or choose a folder on another disk',
  EDQUOT: () => 'your disk quota is used up: delete something or choose a folder on another disk',
  EFBIG: () => 'the file would be larger than the disk or your limits allow: choose a folder on another disk',
  EROFS: (folder) => `${folder} is on a read-only disk: choose another folder`,
  EACCES: (folder) => `no permission to write in ${folder}: change its access rights or choose another folder`,
  EPERM: (folder) => `no permission to write in ${folder}: change its access rights or choose another folder`,
  ENOENT: (folder) => `the folder ${folder} does not exist: create it or check the path`,
  ENOTDIR: (folder) => `${folder} is not a folder: check the path`,
  EISDIR: () => 'there is a folder of that name: choose another name',
};

function explain(error: unknown, path: string, folder: string, byteCount: number): unknown {
  const code = errorCode(error);
  if (code === undefined) return error;
  const reason =
    REASONS[code]?.(folder) ?? `the system says "${(error as Error).message}": check the disk or choose another folder`;
  const size = `${byteCount.toLocaleString('en-US')} ${byteCount === 1 ? 'byte' : 'bytes'}`;
  const message = `cannot write ${path} (${size} needed): ${reason}`;
  return new IdatError('files.write', message, { cause: error });
}

function errorCode(error: unknown): string | undefined {
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}
