/**
 * A folder on disk as a file tree. Links are followed as long as they stay inside the folder.
 */
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { IdatError } from '../../errors.js';
import { type FileTree, isLitter } from '../file-tree.js';

/**
 * Walks the folder once. The walk costs a call a folder, so that lists of 80,000 images are checked without 80,000 calls.
 * @throws IdatError `data.path.unreadable`
 */
export async function openDirectory(path: string): Promise<FileTree> {
  const root = await realpath(path);
  const files = new Set<string>();
  const folders = new Set<string>();
  const refused = new Map<string, string>();

  const walk = async (relative: string, real: string, ancestors: readonly string[]): Promise<void> => {
    const entries = await readdir(real, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
      throw new IdatError(
        'data.path.unreadable',
        `${join(path, relative)}: cannot list this folder (${error.code}); check its permissions`,
        { cause: error },
      );
    });
    for (const entry of entries) {
      if (isLitter(entry.name)) continue;
      const child = relative === '' ? entry.name : `${relative}/${entry.name}`;
      let kind: { isFile(): boolean; isDirectory(): boolean } = entry;
      let target = join(real, entry.name);
      if (entry.isSymbolicLink()) {
        const resolved = await realpath(target).catch(() => null);
        if (resolved === null) {
          refused.set(child, 'is a link to nothing');
          continue;
        }
        if (resolved !== root && !resolved.startsWith(root.endsWith(sep) ? root : root + sep)) {
          refused.set(child, 'is a link that leaves the data set; copy the file into it instead');
          continue;
        }
        target = resolved;
        kind = await stat(resolved);
      }
      if (kind.isFile()) files.add(child);
      else if (kind.isDirectory() && !ancestors.includes(target)) {
        // A link to a folder we are inside of would otherwise be walked for ever.
        folders.add(child);
        await walk(child, target, [...ancestors, target]);
      }
    }
  };
  await walk('', root, [root]);

  const read = async (relative: string, maxBytes: number): Promise<Uint8Array> => {
    const file = join(root, relative);
    try {
      const { size } = await stat(file);
      if (size > maxBytes) throw tooLarge(join(path, relative), size, maxBytes);
      return await readFile(file);
    } catch (error) {
      if (error instanceof IdatError) throw error;
      const { code } = error as NodeJS.ErrnoException;
      throw new IdatError('data.file.unreadable', `${join(path, relative)}: cannot read this file (${code})`, {
        cause: error,
      });
    }
  };
  return { source: path, files, folders, refused, read, close: async () => {} };
}

/** The error for a file beyond the limit of its kind. */
export function tooLarge(name: string, bytes: number, maxBytes: number): IdatError {
  const mib = (n: number) => `${Math.ceil(n / 2 ** 20).toLocaleString('en')} MiB`;
  return new IdatError(
    'data.file.too-large',
    `${name}: ${mib(bytes)} are more than the ${mib(maxBytes)} idat reads of one such file`,
  );
}
