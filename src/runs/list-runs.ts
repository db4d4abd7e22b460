/** The runs below a folder, and what has become of each: read from their small files, without weights or images. */
import type { Dirent } from 'node:fs';
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { basename, join, relative, resolve } from 'node:path';
import { z } from 'zod';
import { IdatError } from '../errors.js';
import { isHeld } from '../files/node/lock.js';
import { variantName } from '../settings/config.js';
import { PROTOCOL_NAMES, PROTOCOLS, type ProtocolName } from '../settings/protocols.js';
import { type EpochMetrics, type Phase, type RunResult, StoredResultSchema } from '../settings/record.js';
import { bestEpoch } from '../train/metrics.js';
import { RUN_LOCK } from './claim-directory.js';
import { openRun } from './open-run.js';
import { readMetrics } from './run-directory.js';
import { type RunNotes, readNotes } from './run-notes.js';

/** `running`: a living process works on it; `stopped`: it can go on; `damaged`: `problem` says in what way. */
export type RunState = 'finished' | 'running' | 'stopped' | 'damaged';

/** What there is to see of a run from outside; null where its files do not tell. */
export interface ListedRun {
  /** Its path below the folder that was listed. */
  readonly name: string;
  /** Its directory, as an absolute path. */
  readonly dir: string;
  readonly state: RunState;
  /** Why it cannot be opened here, in a sentence; null where it can. */
  readonly problem: string | null;
  /** Path of its data set. */
  readonly data: string | null;
  readonly student: string | null;
  readonly teacher: string | null;
  /** The paper's name or the tuning method's: `iDAT-PS-mse`, `lora`. */
  readonly variant: string | null;
  readonly method: string | null;
  /** The distillation loss; null where no teacher teaches, too. */
  readonly loss: string | null;
  readonly seed: number | null;
  readonly protocol: ProtocolName | null;
  /** What people wrote to it. */
  readonly notes: RunNotes;
  /** The phase it is in, epochs it has behind it in that phase, and those it will have. */
  readonly progress: { readonly phase: Phase; readonly epochs: number; readonly of: number } | null;
  /** Null where it has not ended. */
  readonly result: RunResult | null;
  /** When one of its files was last written, as an ISO date. */
  readonly changed: string;
}

export interface ListRunsOptions {
  /** Folders below the one that is listed; default 3. */
  readonly depth?: number;
}

const DEPTH = 3;
/** A home folder listed by mistake should not take minutes. */
const MAX_FOLDERS = 10_000;
/** No run's is as large. */
const MAX_CONFIG_BYTES = 2 ** 20;

/** What only runs write: where two of these lie, a run was. */
const SIGNS = ['state.safetensors', 'split.json', 'metrics.jsonl', 'timings.jsonl', RUN_LOCK];

/**
 * Lists the runs in and below a folder, by name, numbers in names in their order. Links are followed, each folder is looked at
 * once, and what lies inside a run is not looked at.
 * @throws IdatError `run.folder` when there is no such folder or it cannot be read
 */
export async function listRuns(folder = 'runs', options: ListRunsOptions = {}): Promise<ListedRun[]> {
  const places = await findRunPlaces(folder, options);
  const runs: ListedRun[] = [];
  for (const place of places) runs.push(await lookAtRun(place));
  return runs;
}

/** Where a run lies. */
export type RunPlace = Pick<ListedRun, 'name' | 'dir'>;

/** The same without a look at them. @throws IdatError `run.folder` */
export async function findRunPlaces(folder: string, { depth = DEPTH }: ListRunsOptions = {}): Promise<RunPlace[]> {
  const root = resolve(folder);
  const entries = await readdir(root, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    const what = error.code === 'ENOENT' ? 'there is no such folder' : `cannot be listed (${error.code})`;
    throw new IdatError('run.folder', `${folder}: ${what}; give the folder that runs lie in`, { cause: error });
  });
  const found: string[] = [];
  const seen = new Set<string>([await realpath(root)]);
  const walk = async (dir: string, content: readonly Dirent[], left: number): Promise<void> => {
    if (await isRun(dir, content)) {
      found.push(dir);
      return;
    }
    if (left === 0) return;
    for (const entry of content) {
      if (entry.name.startsWith('.') || entry.name === 'node_modules') continue;
      if (!entry.isDirectory() && !entry.isSymbolicLink()) continue;
      const inner = join(dir, entry.name);
      const place = await realpath(inner).catch(() => null); // a link to nothing
      if (place === null || seen.has(place) || seen.size >= MAX_FOLDERS) continue;
      seen.add(place);
      await walk(inner, await readdir(inner, { withFileTypes: true }).catch(() => []), left - 1);
    }
  };
  await walk(root, entries, depth);
  const order = new Intl.Collator('en', { numeric: true });
  return found
    .map((dir) => ({ dir, name: relative(root, dir) || basename(root) }))
    .sort((a, b) => order.compare(a.name, b.name));
}

async function isRun(dir: string, content: readonly Dirent[]): Promise<boolean> {
  const names = new Set(content.map(({ name }) => name));
  if (SIGNS.filter((name) => names.has(name)).length >= 2) return true;
  const config = (await configOf(dir)) as { format?: unknown } | null;
  return config?.format === 'idat-run-1';
}

/** config.json as it is; null where it is none. */
async function configOf(dir: string): Promise<unknown> {
  const path = join(dir, 'config.json');
  const found = await stat(path).catch(() => null);
  if (!found?.isFile() || found.size > MAX_CONFIG_BYTES) return null;
  return readJson(path);
}

const readJson = (path: string): Promise<unknown> =>
  readFile(path, 'utf8')
    .then((text) => JSON.parse(text) as unknown)
    .catch(() => null);

/** What is shown of the settings of a run, also where others of them cannot be. */
const Shown = z.object({
  data: z.string(),
  student: z.string(),
  teacher: z.string().nullable(),
  method: z.string(),
  distill: z.string(),
  seed: z.int(),
  protocol: z.enum(PROTOCOL_NAMES),
  epochs: z.int(),
  cooldownEpochs: z.int(),
  scratch: z.custom<NonNullable<Parameters<typeof variantName>[0]['scratch']>>().optional(),
});
type Shown = z.output<typeof Shown>;

/** What has become of one run. */
export async function lookAtRun({ dir, name }: RunPlace): Promise<ListedRun> {
  const opened = await Promise.all([openRun(dir), readMetrics(dir)]).then(
    ([{ result }, metrics]) => ({ problem: null, result, metrics }),
    async (error: unknown) => {
      if (!(error instanceof IdatError)) throw error;
      // a method of somebody's own is no damage: this process does not know it
      const own = error.issues.some(({ path, code }) => code === 'unknown' && /method/i.test(`${path.at(-1)}`));
      const whole = StoredResultSchema.safeParse(own ? await readJson(join(dir, 'result.json')) : null);
      const metrics = own ? await readMetrics(dir).catch(() => []) : [];
      return { problem: error, own, result: whole.success ? withoutFacts(whole.data) : null, metrics };
    },
  );
  const { problem, result, metrics } = opened;
  const config = (await configOf(dir)) as { settings?: unknown } | null;
  const settings = Shown.safeParse(config?.settings).data ?? null;
  const damaged = problem !== null && !opened.own;
  const unended = async () => ((await isHeld(join(dir, RUN_LOCK))) ? 'running' : damaged ? 'damaged' : 'stopped');
  return {
    name,
    dir,
    state: result ? 'finished' : await unended(),
    problem: problem?.message ?? null,
    data: settings?.data ?? null,
    student: settings?.student ?? null,
    teacher: settings?.teacher ?? null,
    variant: settings && variantName({ ...settings, scratch: settings.scratch }),
    method: settings?.method ?? null,
    loss: settings && settings.teacher !== null ? settings.distill : null,
    seed: settings?.seed ?? null,
    protocol: settings?.protocol ?? null,
    notes: await readNotes(dir),
    progress: settings && !damaged ? progressOf(settings, metrics) : null,
    result,
    changed: await lastChange(dir),
  };
}

const withoutFacts = ({ of: _, ...result }: z.output<typeof StoredResultSchema>): RunResult => result;

/** Where a run stands. The length of what is kept is what the selection before it chose, where there is one. */
function progressOf(settings: Shown, metrics: readonly EpochMetrics[]): NonNullable<ListedRun['progress']> {
  const whole = settings.epochs + settings.cooldownEpochs;
  const selects = PROTOCOLS[settings.protocol].select !== null;
  const phase = metrics.at(-1)?.phase ?? (selects ? 'select' : 'final');
  const epochs = metrics.filter((line) => line.phase === phase).length;
  const chosen = selects && phase === 'final' ? bestEpoch(metrics, 'select') : null;
  return { phase, epochs, of: chosen ? chosen.epoch + 1 : whole };
}

/** Of its files, as a folder's own time tells of names alone. */
async function lastChange(dir: string): Promise<string> {
  const files = await Promise.all(
    ['config.json', 'metrics.jsonl', 'state.safetensors', 'result.json'].map((name) =>
      stat(join(dir, name)).catch(() => null),
    ),
  );
  const times = files.flatMap((file) => (file ? [file.mtimeMs] : []));
  return new Date(times.length > 0 ? Math.max(...times) : (await stat(dir)).mtimeMs).toISOString();
}
