/**
 * Works through the runs of a plan, several at a time. Each is claimed by a lock in its directory before it is begun, so
 * that several sweeps at one folder share the work and never write the same run.
 */
import { mkdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { IdatError } from '../errors.js';
import { type Lock, takeLock } from '../files/node/lock.js';
import { isInMemory } from '../runs/data-source.js';
import { differingSettings } from '../settings/config.js';
import type { RunResult } from '../settings/record.js';
import type { Progress } from '../train/progress.js';
import type { PlannedRun } from './expand.js';
import { openFound } from './identity.js';
import { MemoryGauge } from './memory.js';
import type { Runner } from './run-in-process.js';

/** `elsewhere`: another process is at work on it. */
export type SweepRunState = 'waiting' | 'running' | 'elsewhere' | 'done' | 'failed';

/** How a run stands. */
export interface RunStatus {
  readonly run: PlannedRun;
  /** Its directory, as an absolute path; of one that was there already, wherever it lies. */
  dir: string;
  state: SweepRunState;
  /** Done without work: it was finished before, here or elsewhere. */
  found: boolean;
  /** Share of it that is done, and seconds that are left; null where nobody knows. */
  fraction: number;
  secondsLeft: number | null;
  result: RunResult | null;
  /** Why it failed, or what it said when it was stopped. */
  error: IdatError | null;
}

export interface ScheduleControl {
  /** Runs at a time. */
  readonly limit: number;
  readonly runner: Runner;
  readonly signal: AbortSignal;
  /** A run of which the data cannot be had fails before a process is started for it. */
  readonly refuse?: (run: PlannedRun) => Promise<IdatError | null>;
  /** After every change of a run's state; with the event, after every sign of its progress. */
  readonly onChange: (status: RunStatus, event?: Progress) => void;
  readonly memory?: MemoryGauge;
  /** The first that fails stops all. */
  readonly stopAtFailure?: boolean;
}

const CLAIM_FILE = 'sweep.lock';
/** How often runs that others are at work on are looked at, and whether memory has become free. */
const LOOK_MS = 1000;

/** Works until every run is done or has failed, or the signal stops it; runs that are going on save first. */
export async function workThrough(statuses: readonly RunStatus[], control: ScheduleControl): Promise<void> {
  const memory = control.memory ?? new MemoryGauge();
  const going = new Map<RunStatus, Promise<void>>();
  const stop = new AbortController();
  const signal = AbortSignal.any([control.signal, stop.signal]);
  const own = { ...control, signal };
  const left = (state: SweepRunState) => statuses.filter((status) => status.state === state);
  while (!signal.aborted) {
    for (const status of [...left('waiting'), ...left('elsewhere')]) {
      if (signal.aborted || going.size >= control.limit || !(await memory.fits(status.run.settings))) break;
      const claim = await claimOrSettle(status, own);
      if (!claim) continue;
      memory.begin(status, status.run.settings);
      const work = workOn(status, claim, own, memory).finally(() => {
        memory.end(status);
        going.delete(status);
        if (control.stopAtFailure && status.state === 'failed') stop.abort();
      });
      going.set(status, work);
    }
    if (going.size === 0 && left('waiting').length === 0 && left('elsewhere').length === 0) break;
    const rested = new AbortController();
    const pause = sleep(LOOK_MS, undefined, { signal: AbortSignal.any([signal, rested.signal]) }).catch(() => {});
    await Promise.race([pause, ...going.values()]);
    rested.abort();
  }
  await Promise.all(going.values());
}

/** The lock of a run to be made; null where it is finished, cannot be made, or is somebody else's. */
async function claimOrSettle(status: RunStatus, { refuse, onChange }: ScheduleControl): Promise<Lock | null> {
  const before = await finishedHere(status);
  if (before) return settle(status, before, onChange);
  const refused = await refuse?.(status.run);
  if (refused) return fail(status, refused, onChange);
  try {
    const lock = await claim(status.dir);
    const meanwhile = await finishedHere(status);
    if (!meanwhile) return lock;
    await lock.release();
    return settle(status, meanwhile, onChange);
  } catch (error) {
    if (!(error instanceof IdatError)) throw error;
    if (error.code !== 'files.locked') return fail(status, error, onChange);
    leave(status, onChange);
    return null;
  }
}

/** The result of the run that was asked for, where it lies in its place. Images in memory have to be looked at again. */
export async function finishedHere({ dir, run }: RunStatus): Promise<RunResult | null> {
  if (isInMemory(run.request.data)) return null;
  const { record, result } = (await openFound(dir).catch(() => null)) ?? {};
  return result && differingSettings(run.settings, record!.settings).length === 0 ? result : null;
}

/** A lock beside the run's own, held by the sweep: it holds already while its process is being started. */
export async function claim(dir: string): Promise<Lock> {
  const path = join(dir, CLAIM_FILE);
  for (let again = false; ; again = true) {
    try {
      await mkdir(dir, { recursive: true });
      return await takeLock(path);
    } catch (error) {
      if (error instanceof IdatError) throw error;
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' && !again) continue; // another sweep has just removed the empty folder
      const what = `${dir}: cannot make or use this folder (${code})`;
      throw new IdatError('run.directory', `${what}; a run needs one it can write in`, { cause: error });
    }
  }
}

async function workOn(status: RunStatus, lock: Lock, control: ScheduleControl, memory: MemoryGauge): Promise<void> {
  const { runner, signal, onChange } = control;
  status.state = 'running';
  onChange(status);
  try {
    const result = await runner(status.run.request, status.dir, {
      signal,
      onMemory: (peak, now) => memory.told(status, peak, now),
      onProgress: (event) => {
        follow(status, event);
        onChange(status, event);
      },
    });
    const { runDir: _, ...reached } = result;
    settle(status, reached, onChange, false);
  } catch (error) {
    const known =
      error instanceof IdatError
        ? error
        : new IdatError('run.bug', String((error as Error).stack ?? error), { cause: error });
    if (known.code.endsWith('.interrupted') && signal.aborted) {
      Object.assign(status, { state: 'waiting', error: known });
      onChange(status);
    } else if (known.code === 'run.locked') leave(status, onChange);
    else fail(status, known, onChange);
  } finally {
    await lock.release();
    await rmdir(status.dir).catch(() => {}); // that of a run which never began is empty
  }
}

/** How far a run is, from what it tells. Reading images and testing are short beside training. */
function follow(status: RunStatus, event: Progress): void {
  if (event.kind !== 'step') return;
  status.fraction = (event.epoch + event.step / event.steps) / event.epochs;
  status.secondsLeft = event.secondsLeft;
}

function settle(status: RunStatus, result: RunResult, onChange: ScheduleControl['onChange'], found = true): null {
  Object.assign(status, { state: 'done', found, result, fraction: 1, secondsLeft: 0 });
  onChange(status);
  return null;
}

function fail(status: RunStatus, error: IdatError, onChange: ScheduleControl['onChange']): null {
  Object.assign(status, { state: 'failed', error, secondsLeft: null });
  onChange(status);
  return null;
}

function leave(status: RunStatus, onChange: ScheduleControl['onChange']): void {
  if (status.state === 'elsewhere') return;
  status.state = 'elsewhere';
  onChange(status);
}
