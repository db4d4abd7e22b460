/**
 * A folder on disk as a file tree.
 *
 * Links are followed, also those that leave the folder: people pick from a store of pictures by links, and the disk is
 * their own. But the folder may be a stranger's archive, unpacked; so what lies outside is only ever decoded as an image
 * (or as a Parquet file of images) and never read as a list, and no link leads to a folder that holds the data set itself, such as `/`.
 */
import type { Dirent, Stats } from 'node:fs';
import { open as openFile, readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { IdatError } from '../../errors.js';
import { inFolder, readableName, type SystemPath, systemPath } from '../../files/node/file-name.js';
import { readFully } from '../../files/node/read-write.js';
import { type FileTree, isHiddenImage, isImagePath, isLitter, type RandomAccess, type Why } from '../file-tree.js';

export interface Directory extends FileTree {
  /** Where one of `files` is to be opened. */
  pathOf(path: string): SystemPath;
  /** Whether a file's relative path is its name letter by letter. */
  isExact(path: string): boolean;
}

/** Entries of hidden folders and the like that are looked at for pictures, so that a store of snapshots costs no minutes. */
const MAX_LITTER = 20_000;
/** A folder that many links lead to is seen this often: links in circles would multiply without end. */
const MAX_VISITS = 8;
const MAX_RUN_RECORD_BYTES = 2 ** 20;
/** Not on any disk. */
const SYSTEM_FOLDERS = ['/proc', '/sys', '/dev'];

/**
 * Walks the folder once. The walk costs a call a folder, so that lists of 80,000 images are checked without 80,000 calls.
 * @throws IdatError `data.path.unreadable` for the folder itself; below it such folders are passed over
 */
export async function openDirectory(path: string): Promise<Directory> {
  const root = await realpath(path);
  const walk = new Walk(root);
  await walk
    .enter({ relative: '', place: root, own: '', ancestors: [], outside: false, exact: true })
    .catch((error) => {
      throw new IdatError(
        'data.path.unreadable',
        `${path}: cannot list this folder (${error.code ?? error.message}); check its permissions`,
        { cause: error },
      );
    });
  const { files, folders, passedOver, outside } = walk;
  const isExact = (relative: string) => !walk.places.has(relative);
  const pathOf = (relative: string) => walk.places.get(relative) ?? join(root, relative);
  const read = async (relative: string, maxBytes: number): Promise<Uint8Array> => {
    const file = pathOf(relative);
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
  return {
    source: path,
    roots: [root, resolve(path)].map(withSlashes),
    files,
    folders,
    passedOver,
    outside,
    pathOf,
    isExact,
    read,
    open: async (relative) => randomAccess(pathOf(relative), join(path, relative)),
    close: async () => {},
  };
}

/** Opened for each part: a data set of a thousand files would hold as many handles. */
async function randomAccess(place: SystemPath, name: string): Promise<RandomAccess> {
  try {
    const { size: bytes } = await stat(place);
    const slice = async (from: number, to = bytes) => {
      // a file that lies about where its parts are gets what there is
      const [start, end] = [from, to].map((at) => Math.min(Math.max(at, 0), bytes)) as [number, number];
      const part = new Uint8Array(Math.max(0, end - start));
      const handle = await openFile(place, 'r');
      try {
        await readFully(handle, part, start);
        return part.buffer;
      } finally {
        await handle.close();
      }
    };
    return { bytes, slice };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new IdatError('data.file.unreadable', `${name}: cannot read this file (${code})`, { cause: error });
  }
}

/** A folder on the walk. */
interface Step {
  /** As the data set calls it. */
  readonly relative: string;
  readonly place: SystemPath;
  /** Its name as the system has it. */
  readonly own: SystemPath;
  /** Real paths of the folders it lies in, itself included. */
  readonly ancestors: readonly SystemPath[];
  /** Whether a link that leaves the data set led here. */
  readonly outside: boolean;
  /** Whether the relative path below the root is where it lies, letter by letter. */
  readonly exact: boolean;
}

type Kind = Pick<Stats, 'isFile' | 'isDirectory'>;

class Walk {
  readonly files = new Set<string>();
  readonly folders = new Set<string>();
  readonly passedOver = new Map<string, Why>();
  readonly outside = new Set<string>();
  /** Of files whose relative path is not what the system calls them. */
  readonly places = new Map<string, SystemPath>();
  private readonly visits = new Map<string, number>();
  private litter = 0;

  constructor(private readonly root: string) {}

  /** @returns whether anything is to be seen there; a folder of nothing but run directories is as good as absent */
  async enter(step: Step): Promise<boolean> {
    const entries = await readdir(step.place, { withFileTypes: true, encoding: 'buffer' });
    if (step.relative !== '' && (await isRunDirectory(step.place, entries))) {
      this.passedOver.set(step.relative, 'run');
      await this.countPictures(step.relative, step.place, 'run');
      return false;
    }
    // Descending, so that of two names that differ in how é is written the composed one comes first and keeps its own.
    entries.sort((a, b) => Buffer.compare(b.name, a.name));
    const found: (boolean | null)[] = [];
    for (const entry of entries) found.push(await this.look(step, entry));
    return found.includes(true) || !found.includes(false);
  }

  /** @returns false for a run directory, null for litter */
  private async look(step: Step, entry: Dirent<Buffer>): Promise<boolean | null> {
    const name = readableName(entry.name);
    const child = below(step.relative, name);
    const place = inFolder(step.place, entry.name);
    if (isLitter(name)) {
      await this.lookAtLitter(child, place, entry);
      return null;
    }
    const exact = step.exact && entry.name.equals(Buffer.from(name));
    const next = { ...step, relative: child, place, exact, own: systemPath(entry.name) };
    return entry.isSymbolicLink() ? this.follow(next) : this.take(next, entry);
  }

  private async follow(step: Step): Promise<boolean> {
    const { relative: child } = step;
    const place = await realpath(step.place, 'buffer').then(systemPath, () => null);
    const kind = place === null ? null : await stat(place).catch(() => null);
    if (place === null || kind === null) return this.pass(child, 'dangling');
    const outside = !isWithin(this.root, place);
    if (!outside || kind.isFile()) return this.take({ ...step, place, outside }, kind);
    if (isWithin(place, this.root)) return this.pass(child, 'loop');
    if (SYSTEM_FOLDERS.some((folder) => isWithin(folder, place))) return this.pass(child, 'outside');
    return this.take({ ...step, place, outside }, kind);
  }

  private async take(step: Step, kind: Kind): Promise<boolean> {
    const { relative: child } = step;
    if (kind.isFile()) return this.takeFile(step);
    if (!kind.isDirectory()) return this.pass(child, 'special');
    const key = Buffer.from(step.place).toString('latin1');
    const visits = this.visits.get(key) ?? 0;
    if (step.ancestors.some((ancestor) => same(ancestor, step.place)) || same(this.root, step.place)) {
      return this.pass(child, 'loop');
    }
    if (visits >= MAX_VISITS) return this.pass(child, 'loop');
    this.visits.set(key, visits + 1);
    const seen = await this.enter({ ...step, ancestors: [...step.ancestors, step.place] }).catch(() => {
      this.passedOver.set(child, 'forbidden');
      return true;
    });
    if (seen) this.folders.add(child);
    return seen;
  }

  private takeFile({ relative, place, own, outside, exact }: Step): boolean {
    if (outside && !isImagePath(relative) && !/\.parquet$/i.test(relative)) return this.pass(relative, 'outside');
    let name = relative;
    // Two names that differ only in how é is written: both files count, the second by its own letters.
    if (this.files.has(name) && typeof own === 'string') name = below(parentOf(relative), own);
    if (this.files.has(name)) return this.pass(`${relative} (2)`, 'twin');
    this.files.add(name);
    if (outside) this.outside.add(name);
    if (!exact) this.places.set(name, place);
    return true;
  }

  private pass(path: string, why: Why): true {
    this.passedOver.set(path, why);
    return true;
  }

  private async lookAtLitter(path: string, place: SystemPath, entry: Dirent<Buffer>): Promise<void> {
    if (entry.isDirectory()) await this.countPictures(path, place, 'litter');
    else if (entry.isFile() && isHiddenImage(path)) this.passedOver.set(path, 'litter');
  }

  /** Notes the pictures below a folder that is passed over. Links are not followed. */
  private async countPictures(path: string, place: SystemPath, why: Why): Promise<void> {
    const entries = await readdir(place, { withFileTypes: true, encoding: 'buffer' }).catch(() => []);
    for (const entry of entries) {
      if (++this.litter > MAX_LITTER) return;
      const child = below(path, readableName(entry.name));
      if (entry.isDirectory()) await this.countPictures(child, inFolder(place, entry.name), why);
      else if (entry.isFile() && isHiddenImage(child)) this.passedOver.set(child, why);
    }
  }
}

/** What idat writes, left among the pictures: its folder holds a config.json that says so. */
async function isRunDirectory(place: SystemPath, entries: readonly Dirent<Buffer>[]): Promise<boolean> {
  const record = entries.find((entry) => entry.isFile() && entry.name.equals(Buffer.from('config.json')));
  if (!record) return false;
  const file = inFolder(place, record.name);
  try {
    if ((await stat(file)).size > MAX_RUN_RECORD_BYTES) return false;
    const content: unknown = JSON.parse(await readFile(file, 'utf8'));
    return /^idat-run-/.test(String((content as { format?: unknown } | null)?.format));
  } catch {
    return false;
  }
}

const below = (folder: string, name: string): string => (folder === '' ? name : `${folder}/${name}`);
const parentOf = (path: string): string => path.slice(0, Math.max(path.lastIndexOf('/'), 0));
const withSlashes = (path: string): string => path.replaceAll('\\', '/');
const same = (a: SystemPath, b: SystemPath): boolean => Buffer.from(a).equals(Buffer.from(b));

/** Whether a real path is a folder or lies below it. */
function isWithin(folder: SystemPath, path: SystemPath): boolean {
  const [outer, inner] = [folder, path].map((one) =>
    Buffer.from(one)
      .toString('latin1')
      .replace(/[\\/]+$/, ''),
  );
  const rest = inner!.slice(outer!.length);
  return inner!.startsWith(outer!) && (rest === '' || rest.startsWith('/') || rest.startsWith('\\'));
}

/** The error for a file beyond the limit of its kind. */
export function tooLarge(name: string, bytes: number, maxBytes: number): IdatError {
  const mib = (n: number) => `${Math.ceil(n / 2 ** 20).toLocaleString('en')} MiB`;
  return new IdatError(
    'data.file.too-large',
    `${name}: ${mib(bytes)} are more than the ${mib(maxBytes)} idat reads of one such file`,
  );
}
