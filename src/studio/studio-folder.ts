/** The folder that the studio shows: its runs, kept up with, and which paths a page may name. */
import { realpath, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isModelPath } from '../backbones/node/registry.js';
import { IdatError, type Issue } from '../errors.js';
import { packageFile } from '../files/node/package-root.js';
import { lastName } from '../report/repeat-command.js';
import type { ListedRun } from '../runs/list-runs.js';
import { type RunChanges, type RunWatch, watchRuns } from '../runs/watch-runs.js';
import type { ShownRun } from './page/api.js';

export interface FolderOptions {
  /** Further folders from which a page may name data and weights. */
  readonly dataRoots: readonly string[];
  readonly intervalMs?: number;
}

/** A folder of sweeps has its runs in SWEEP/TASK/ROW/seed-N. */
const DEPTH = 5;

/** Data sets that come with idat. */
export const BUNDLED_DATA = fileURLToPath(packageFile('assets/eurosat-100.zip'));

export class StudioFolder {
  private watch: RunWatch | null = null;
  private readonly listeners = new Set<(changes: RunChanges) => void>();

  /** @param root as an absolute path, without links */
  private constructor(
    readonly root: string,
    private readonly roots: readonly string[],
  ) {}

  /** @throws IdatError `run.folder` */
  static async open(folder: string, { dataRoots, intervalMs }: FolderOptions): Promise<StudioFolder> {
    const root = await realpath(folder).catch((error: NodeJS.ErrnoException) => {
      throw new IdatError(
        'run.folder',
        `${folder}: cannot be opened (${error.code}); give the folder that runs lie in`,
      );
    });
    const roots = await Promise.all(dataRoots.map((one) => realpath(one).catch(() => resolve(one))));
    const own = new StudioFolder(root, [root, ...roots]);
    const tell = (changes: RunChanges) => {
      for (const listener of own.listeners) listener(changes);
    };
    own.watch = await watchRuns(root, tell, { depth: DEPTH, ...(intervalMs !== undefined && { intervalMs }) });
    return own;
  }

  onChange(listener: (changes: RunChanges) => void): void {
    this.listeners.add(listener);
  }

  get runs(): ReadonlyMap<string, ListedRun> {
    return this.watch!.runs;
  }

  look(): Promise<void> {
    return this.watch!.look();
  }

  close(): void {
    this.watch?.close();
    this.listeners.clear();
  }

  /** A run that is in the list: no other path is ever made of what a page says. @throws IdatError `run.missing` */
  run(name: string): ListedRun {
    const found = this.runs.get(name);
    if (found) return found;
    throw new IdatError(
      'run.missing',
      `${name}: there is no such run in this folder; it may have been moved or removed`,
    );
  }

  /** A run's path below the folder, as lists have it; null where it lies elsewhere. */
  nameOf(dir: string): string | null {
    const name = relative(this.root, dir);
    return name === '' || name.startsWith('..') ? null : name;
  }

  /** As one types it where the studio was started. */
  typed(path: string): string {
    const short = relative('', path);
    return short === '' || short.startsWith('..') ? path : short;
  }

  /**
   * Data or weights that a page may name: what lies in the folder, in a data root, came with idat or was used by a run that is
   * there. @returns the absolute path @throws IdatError `studio.path`
   */
  async readable(path: string): Promise<string> {
    const wanted = resolve(path);
    const known = [...this.runs.values()].flatMap(({ data, student, teacher }) => [data, student, teacher]);
    if (wanted === BUNDLED_DATA || known.includes(wanted)) return wanted;
    const place = await placeOf(wanted);
    if (this.roots.some((root) => isWithin(place, root))) return wanted;
    const what = 'lies outside of the folders that this page may name';
    throw new IdatError(
      'studio.path',
      `${path}: ${what}; start the studio with that folder as a data root, or drop the pictures here`,
    );
  }

  /** Where something may be written: in the folder alone. @throws IdatError `studio.path` */
  async writable(path: string): Promise<string> {
    const wanted = resolve(this.root, path);
    if (wanted !== this.root && isWithin(await placeOf(wanted), this.root)) return wanted;
    throw new IdatError('studio.path', `${path}: lies outside of ${this.root}, in which alone this page may write`);
  }

  /** What is wrong with paths among settings. Names of models are none. */
  async pathIssues(settings: Readonly<Record<string, unknown>>): Promise<Issue[]> {
    const issues: Issue[] = [];
    const check = async (name: string, test: (path: string) => Promise<string>) => {
      const value = settings[name];
      if (typeof value !== 'string' || value === '') return;
      await test(value).catch((error: Error) => issues.push({ path: [name], code: 'path', message: error.message }));
    };
    await check('data', (path) => this.readable(path));
    for (const role of ['student', 'teacher']) {
      const value = settings[role];
      if (typeof value === 'string' && isModelPath(value)) await check(role, (path) => this.readable(path));
    }
    await check('out', (path) => this.writable(resolve(path)));
    await check('cacheDir', (path) => this.writable(resolve(path)));
    return issues;
  }
}

/** Where it lies, links followed as far as there is something. */
async function placeOf(path: string): Promise<string> {
  for (let at = path, rest = ''; ; rest = join(lastName(at), rest), at = dirname(at)) {
    const found = await realpath(at).catch(() => null);
    if (found !== null) return join(found, rest);
    if (dirname(at) === at) return path;
  }
}

const isWithin = (path: string, root: string): boolean =>
  path === root || path.startsWith(root.endsWith(sep) ? root : `${root}${sep}`);

export const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

export const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );

/** As a page shows it: no paths of this machine. */
export function shownRun(run: ListedRun): ShownRun {
  const { name, dir, state, data, student, teacher, variant, method, loss, seed, protocol, notes, progress } = run;
  const { result, changed } = run;
  const short = (text: string | null) => (text === null ? null : lastName(text));
  return {
    ...{ name, state, variant, method, loss, seed, protocol, progress, changed },
    task: data === null ? null : lastName(data).replace(/\.zip$/i, ''),
    student: short(student),
    teacher: short(teacher),
    problem: run.problem?.replaceAll(`${dir}/`, '') ?? null,
    tags: notes.tags,
    note: notes.note,
    result: result && {
      accuracy: result.accuracy,
      correct: result.correct,
      total: result.total,
      seconds: result.seconds,
    },
  };
}
