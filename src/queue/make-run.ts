/**
 * One run on a worker: begun, or gone on with from what the store keeps, in a folder of the worker's own; after each epoch its
 * state goes to the store.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { arch, cpus, platform } from 'node:os';
import { join } from 'node:path';
import { IdatError } from '../errors.js';
import type { Runner } from '../experiments/run-in-process.js';
import { storedSettingsOf } from '../runs/request.js';
import { readClasses, readRecord, writeRecord } from '../runs/run-directory.js';
import { differingSettings } from '../settings/config.js';
import type { Progress } from '../train/progress.js';
import { type Job, settingsOf } from './job.js';
import type { Places } from './places.js';
import { CARRIED, type History, type RunFiles, type Sitting } from './store.js';

/** What a run needs from the worker that makes it. */
export interface RunTask {
  readonly job: Job;
  readonly places: Places;
  /** What the store keeps of it; none where it was not begun. */
  readonly kept: RunFiles;
  readonly history: History;
  /** Keeps a state of the run in the store. @throws the signal's reason where the run is somebody else's by now */
  keep(files: RunFiles, history: History): Promise<void>;
  readonly onProgress: (event: Progress) => void;
  readonly onMemory: (peak: number, now: number) => void;
  /** When aborted, the run is saved and `keep` is called for the last time. */
  readonly signal: AbortSignal;
}

/** What a run came to: its files, and the seconds it has trained. */
export interface MadeRun {
  readonly files: RunFiles;
  readonly history: History;
  readonly seconds: number;
}

/** How a worker makes runs; a simulation has its own. */
export type RunMaker = (task: RunTask) => Promise<MadeRun>;

export interface MakerOptions {
  /** What the worker is called. */
  readonly worker: string;
  /** Folder for the runs under way. */
  readonly folder: string;
  /** Which of the machine's devices. */
  readonly device: 'cpu' | 'cuda' | 'webgpu';
  /** For decoded images and what frozen prefixes compute; null: nothing is kept. */
  readonly cacheDir: string | null;
  /** Whether names of the hub may be fetched. */
  readonly fetch: boolean;
  /** Made for the files that register a run's methods and losses. */
  readonly runner: (modules: readonly string[]) => Runner;
}

/** Makes runs as `sweep` does, each in a process and a folder of its own. */
export function runMaker(options: MakerOptions): RunMaker {
  let count = 0;
  return async (task) => {
    const dir = join(options.folder, `run-${++count}`);
    await mkdir(dir, { recursive: true });
    try {
      return await make(dir, task, options);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  };
}

async function make(dir: string, task: RunTask, options: MakerOptions): Promise<MadeRun> {
  const { job, places, signal } = task;
  const { modules, ...given } = places;
  const places_ = {
    ...given,
    device: options.device,
    offline: !options.fetch,
    ...(options.cacheDir && { cacheDir: options.cacheDir }),
  };
  settingsOf(job, places_);
  const request = { ...job.settings, ...places_ } as Parameters<Runner>[0];
  const begun = await unpack(dir, task.kept, request);
  const upload = new Upload(dir, task, options, begun);
  try {
    const { seconds } = await options.runner(modules)(request, dir, {
      signal,
      onMemory: task.onMemory,
      onProgress: (event) => {
        task.onProgress(event);
        if (event.kind === 'epoch') upload.ask();
      },
    });
    await upload.settled();
    const files = await readFiles(dir);
    return { files, history: await upload.history(), seconds };
  } catch (error) {
    await upload.settled();
    if (error instanceof IdatError && error.code.endsWith('.interrupted')) await upload.last();
    throw error;
  }
}

/**
 * Puts what the store keeps into the run's folder, with the places of this machine: whatever places it names are nobody's
 * here.
 * @returns whether there is a run to go on with
 */
async function unpack(dir: string, kept: RunFiles, request: Parameters<Runner>[0]): Promise<boolean> {
  if (!kept.has('config.json') || !kept.has('state.safetensors')) return false;
  for (const [name, content] of kept) if (name !== 'result.json') await writeFile(join(dir, name), content);
  const record = await readRecord(dir);
  const settings = storedSettingsOf(request);
  const differing = differingSettings(settings, record.settings).filter(
    (name) => !/^(data|student|teacher)$/.test(name),
  );
  if (differing.length > 0 || record.resolved.threads > (settings.threads ?? record.resolved.threads)) {
    const what = `what the queue keeps of ${dir} was made with other settings`;
    throw new IdatError('queue.kept', `${what} (${differing.join(', ') || 'threads'})`);
  }
  await writeRecord(dir, { ...record, settings }, await readClasses(dir, record.classes));
  return true;
}

/** Sends states to the store, one at a time and always the newest. */
class Upload {
  private going: Promise<void> | null = null;
  private again = false;
  private failed: { readonly error: unknown } | null = null;
  private sitting: Sitting | null = null;

  constructor(
    private readonly dir: string,
    private readonly task: RunTask,
    private readonly options: MakerOptions,
    private readonly begun: boolean,
  ) {}

  ask(): void {
    if (this.going) {
      this.again = true;
      return;
    }
    const sent = this.send().catch((error: unknown) => {
      this.failed ??= { error };
    });
    this.going = sent.then(() => {
      this.going = null;
      if (this.again && !this.failed && !this.task.signal.aborted) {
        this.again = false;
        this.ask();
      }
    });
  }

  /** @throws what the store has refused for good */
  async settled(): Promise<void> {
    while (this.going) await this.going;
    if (this.failed) throw this.failed.error;
  }

  /** After the run was stopped: what it has saved then. */
  async last(): Promise<void> {
    await this.send();
  }

  /** With this sitting. */
  async history(): Promise<History> {
    const { sittings, failures } = this.task.history;
    this.sitting ??= await this.describe();
    return { failures, sittings: [...sittings, this.sitting].slice(-1000) };
  }

  private async send(): Promise<void> {
    const files = await readFiles(this.dir);
    if (!files.has('state.safetensors') || !files.has('config.json')) return; // stopped before anything was saved
    await this.task.keep(new Map([...files].filter(([name]) => KEPT.has(name))), await this.history());
  }

  private async describe(): Promise<Sitting> {
    const { resolved } = await readRecord(this.dir);
    const processor = cpus()[0]?.model.trim() ?? 'unknown processor';
    return {
      worker: this.options.worker,
      machine: `${processor}, ${platform()} ${arch()}`,
      device: resolved.device,
      threads: resolved.threads,
      microBatch: resolved.microBatch,
      fromEpoch: this.begun ? epochsIn(this.task.kept) : 0,
    };
  }
}

/** What a run needs to go on; all else follows from the state. */
const KEPT: ReadonlySet<string> = new Set([
  'config.json',
  'classes.json',
  'split.json',
  'state.safetensors',
  'timings.jsonl',
]);

const epochsIn = (kept: RunFiles): number =>
  new TextDecoder().decode(kept.get('timings.jsonl') ?? new Uint8Array()).split('\n').length - 1;

async function readFiles(dir: string): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const name of CARRIED) {
    const content = await readFile(join(dir, name)).catch(() => null);
    if (content) files.set(name, content);
  }
  return files;
}
