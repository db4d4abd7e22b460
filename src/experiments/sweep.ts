/** Many runs from one plan: several at a time, taken up wherever they were left, and none made twice. */
import { mkdir, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { IdatError } from '../errors.js';
import { isInMemory, openData } from '../runs/data-source.js';
import type { Progress } from '../train/progress.js';
import { expandPlan, type PlannedRun } from './expand.js';
import { findRuns, RunIndex } from './identity.js';
import { type CheckedPlan, checkPlan, type Place, type PlanSettings, type SweepPlan } from './plan.js';
import { readPlan } from './plan-file.js';
import { resultOf, type SweepResult, writeResults } from './results.js';
import { inProcesses, type Runner } from './run-in-process.js';
import { type RunStatus, workThrough } from './schedule.js';
import { writeSummary } from './summary.js';

export interface SweepOptions {
  /** Folder of all runs, in place of the plan's. */
  out?: string;
  /** Where tasks are looked for by name; default: ./data */
  dataRoot?: string;
  /** Settings that stand above all of the plan's. */
  set?: PlanSettings;
  /** Runs at a time, in place of the plan's. */
  parallel?: 'auto' | number;
  /** Further folders of runs, of which none is repeated. */
  reuse?: readonly string[];
  /** Gives each run a thread even where one is made at a time, as other machines may make several. */
  oneThread?: boolean;
}

export interface SweepControl extends SweepOptions {
  /** Told of all runs at first, and then of each whose state or progress has changed. */
  onStatus?: (status: RunStatus, all: readonly RunStatus[]) => void;
  /** Told what each run tells. */
  onProgress?: (event: Progress, run: PlannedRun) => void;
  /** When aborted, running steps are finished and all is saved. */
  signal?: AbortSignal;
}

/** A sweep before anything is begun. */
export interface PreparedSweep {
  readonly plan: CheckedPlan;
  /** Folder of all runs, as an absolute path. */
  readonly out: string;
  /** Each run, with those that are finished found. */
  readonly statuses: readonly RunStatus[];
  /** Runs at a time. */
  readonly limit: number;
  /** Paths of files to be imported. */
  readonly modules: readonly string[];
}

export interface SweepOutcome {
  readonly plan: CheckedPlan;
  readonly out: string;
  /** Of the finished runs, in the order of the plan. */
  readonly results: readonly SweepResult[];
  readonly failed: readonly { readonly name: string; readonly code: string; readonly message: string }[];
}

/**
 * Makes all runs of a plan.
 *
 * A run is finished, begun or missing; finished ones are those whose settings that change results are equal, on equal
 * images and weights, in the sweep's folder or one named by `reuse`. A sweep that was stopped or killed goes on when it is
 * started again. A run that fails fails alone.
 *
 * @param plan a plan, or the path of a file with one
 * @throws IdatError `config.plan` for a plan that cannot be, with line and key; `sweep.interrupted` when the signal stopped it
 */
export async function sweep(plan: SweepPlan | string, control: SweepControl = {}): Promise<SweepOutcome> {
  return runSweep(await prepareSweep(plan, control), control);
}

/** The same for one that has been looked at. @throws IdatError `sweep.interrupted` */
export async function runSweep(prepared: PreparedSweep, control: SweepControl = {}): Promise<SweepOutcome> {
  const { statuses, out, limit, modules } = prepared;
  const runner: Runner = inProcesses(modules);
  const stopped = (done: number) =>
    `stopped with ${done} of ${statuses.length} runs done, and all others saved in ${out}; the same command goes on`;
  return withResults(prepared, control, stopped, (parts) => workThrough(statuses, { limit, runner, ...parts }));
}

/** What works through the runs of a sweep is given. */
export interface SweepParts {
  readonly signal: AbortSignal;
  /** Why a run cannot be made here: its data are missing. */
  readonly refuse: (run: PlannedRun) => Promise<IdatError | null>;
  /** To be called after every change of a run. */
  readonly onChange: (status: RunStatus, event?: Progress) => void;
}

/**
 * Makes a sweep's runs by any means, and writes down what they came to as they end.
 * @param stopped says how a sweep stands that was stopped
 * @throws IdatError `sweep.interrupted`
 */
export async function withResults(
  prepared: PreparedSweep,
  control: SweepControl,
  stopped: (done: number) => string,
  work: (parts: SweepParts) => Promise<void>,
): Promise<SweepOutcome> {
  const { statuses, out } = prepared;
  const { onStatus, onProgress, signal = new AbortController().signal } = control;
  await makeFolder(out);
  for (const status of statuses) onStatus?.(status, statuses);
  const writer = resultWriter(out, statuses);
  await writer.write();
  await work({
    signal,
    refuse: missingData(),
    onChange: (status, event) => {
      if (event) onProgress?.(event, status.run);
      onStatus?.(status, statuses);
      if (status.state === 'done') void writer.write();
    },
  });
  const results = await writer.write();
  const failed = statuses.flatMap(failure);
  await writeSummary(out, { plan: prepared.plan, failed });
  if (signal.aborted) {
    throw new IdatError('sweep.interrupted', stopped(statuses.filter(({ state }) => state === 'done').length));
  }
  return { plan: prepared.plan, out, results, failed };
}

const failure = ({ state, run, error }: RunStatus) =>
  state === 'failed' ? [{ name: run.name, code: error!.code, message: error!.message }] : [];

/**
 * Reads a plan, expands it and finds what is there already. Begins nothing.
 * @throws IdatError `config.plan`
 */
export async function prepareSweep(given: SweepPlan | string, options: SweepOptions = {}): Promise<PreparedSweep> {
  const { plan, place } = await planOf(given);
  const modules = (plan.import ?? []).map((path) => resolve(path));
  for (const path of modules) await importModule(path);
  const preset = typeof given === 'string' ? join('runs', basename(given).replace(/\.ya?ml$/i, '')) : 'runs/sweep';
  const out = resolve(options.out ?? plan.out ?? preset);
  const { dataRoot, set } = options;
  const planned = expandPlan(plan, {
    ...(dataRoot !== undefined && { dataRoot }),
    ...(set && { set }),
    ...(place && { place }),
  });
  const limit = runsAtOnce(options.parallel ?? plan.parallel ?? 'auto', planned);
  const runs = planned.map((run) => (limit === 1 && !options.oneThread ? run : onOneThread(run)));
  const folders = [out, ...(plan.reuse ?? []), ...(options.reuse ?? [])];
  const index = new RunIndex(await findRuns(folders));
  const statuses: RunStatus[] = [];
  for (const run of runs) statuses.push(await statusOf(run, out, index));
  return { plan, out, statuses, limit, modules };
}

async function planOf(given: SweepPlan | string): Promise<{ plan: CheckedPlan; place?: Place }> {
  return typeof given === 'string' ? readPlan(given) : { plan: checkPlan(given) };
}

async function importModule(path: string): Promise<void> {
  try {
    await import(pathToFileURL(path).href);
  } catch (error) {
    if (error instanceof IdatError) throw error;
    const why = (error as Error).message;
    throw new IdatError('config.plan', `import: ${path} cannot be imported: ${why}`, { cause: error });
  }
}

/** Threads that one run takes decide how many there may be; runs on one thread each are what cores are best used by. */
function runsAtOnce(wanted: 'auto' | number, runs: readonly PlannedRun[]): number {
  if (wanted !== 'auto') return wanted;
  const threads = Math.max(...runs.map(({ settings }) => (settings.threads ?? 1) * (settings.replicas ?? 1)));
  return Math.max(1, Math.min(runs.length, Math.floor(availableParallelism() / threads)));
}

/** Where several run at a time, each has a thread, so that no run's rounding depends on who ran beside it. */
function onOneThread(run: PlannedRun): PlannedRun {
  if (run.settings.threads !== undefined || run.settings.replicas !== undefined) return run;
  return { ...run, request: { ...run.request, threads: 1 }, settings: { ...run.settings, threads: 1 } };
}

async function statusOf(run: PlannedRun, out: string, index: RunIndex): Promise<RunStatus> {
  const waiting = { run, found: false, fraction: 0, secondsLeft: null, error: null, result: null };
  const own: RunStatus = { ...waiting, state: 'waiting', dir: join(out, run.name) };
  if (isInMemory(run.request.data)) return own;
  const finished = await index.finished(run.settings, own.dir);
  if (finished) return { ...own, state: 'done', found: true, fraction: 1, dir: finished.dir, result: finished.result };
  const begun = index.begun(run.settings, out);
  return begun ? { ...own, dir: begun.dir } : own;
}

/** Says once for each data set whether it is missing, in the words of who would open it. */
function missingData(): (run: PlannedRun) => Promise<IdatError | null> {
  const known = new Map<string, Promise<IdatError | null>>();
  return ({ request: { data }, settings }) => {
    if (typeof data !== 'string') return Promise.resolve(null);
    const asked = known.get(data) ?? refusalOf(data, settings.splitSeed);
    known.set(data, asked);
    return asked;
  };
}

async function refusalOf(data: string, seed: number): Promise<IdatError | null> {
  const exists = await stat(data).then(
    () => true,
    () => false,
  );
  if (exists || data.includes(':') || /\.zip[\\/]/i.test(data)) return null; // what needs more than a look is the run's
  return openData(data, { seed }).then(
    async (dataset) => {
      await dataset.close();
      return null;
    },
    (error: unknown) => (error instanceof IdatError ? error : null),
  );
}

async function makeFolder(out: string): Promise<void> {
  await mkdir(out, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    const what = `${out}: cannot make this folder (${error.code})`;
    throw new IdatError('run.directory', `${what}; a sweep needs one it can write in`, { cause: error });
  });
}

/** Writes results as they come, one writing at a time; what cannot be read again is told at the end. */
function resultWriter(out: string, statuses: readonly RunStatus[]): { write(): Promise<SweepResult[]> } {
  const read = new Map<RunStatus, SweepResult>();
  let turn: Promise<unknown> = Promise.resolve();
  const once = async (): Promise<SweepResult[]> => {
    const done = statuses.filter(({ state }) => state === 'done');
    for (const status of done) if (!read.has(status)) read.set(status, await resultOf(status, out));
    const results = done.map((status) => read.get(status)!);
    if (results.length > 0) await writeResults(out, results);
    return results;
  };
  let next: Promise<SweepResult[]> | null = null;
  return {
    write: () => {
      if (next) return next; // which has not begun, and will see all that has ended by then
      const own = turn.then(() => {
        next = null;
        return once();
      });
      next = own;
      turn = own.catch(() => {}); // the last writing reports
      return own;
    },
  };
}
