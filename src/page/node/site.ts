/** The files of the page, wherever the package has them. */
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { IdatError } from '../../errors.js';
import { writeFileAtomic } from '../../files/node/atomic-write.js';

/** Of the package. */
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const LIST = 'dist/page/files.json';

const SiteFile = z.object({
  /** On the page, relative to its address. */
  path: z.string(),
  /** In the package. */
  from: z.string(),
  bytes: z.int().min(0),
  sha256: z.string(),
});
export type SiteFile = z.output<typeof SiteFile>;

/** @throws IdatError `page.missing` where the package was not built */
export async function siteFiles(): Promise<SiteFile[]> {
  try {
    return z.array(SiteFile).parse(JSON.parse(await readFile(join(ROOT, LIST), 'utf8')));
  } catch (error) {
    const what = `the page's files are not there (${LIST})`;
    throw new IdatError('page.missing', `${what}; install idat again, or build it with npm run build`, {
      cause: error,
    });
  }
}

export const contentOf = ({ from }: SiteFile): Promise<Buffer> => readFile(join(ROOT, from));

/**
 * Writes the page into a folder, for any host of files to serve: all addresses in it are relative.
 * @returns how many bytes
 * @throws IdatError `page.folder` where the folder holds anything but such a page
 */
export async function writeSite(folder: string): Promise<{ path: string; files: number; bytes: number }> {
  const path = resolve(folder);
  const files = await siteFiles();
  const ours = new Set(files.map((file) => file.path));
  const there = await readdir(path, { recursive: true, withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new IdatError('page.folder', `${path}: cannot be written into (${error.message})`, { cause: error });
  });
  const other = there
    .filter((entry) => !entry.isDirectory())
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(path.length + 1)
        .split(sep)
        .join('/'),
    )
    .find((name) => !ours.has(name));
  if (other !== undefined) {
    throw new IdatError('page.folder', `${path}: holds ${other}, which is no file of the page; give an empty folder`);
  }
  for (const file of files) {
    const target = join(path, file.path);
    await mkdir(dirname(target), { recursive: true });
    await writeFileAtomic(target, await contentOf(file));
  }
  return { path, files: files.length, bytes: files.reduce((sum, { bytes }) => sum + bytes, 0) };
}
