/** The paper's question on one's own data: adapters alone against the same taught by a smaller model. */
import { join, resolve } from 'node:path';
import { IdatError } from '../errors.js';
import { type DataSource, nameOfData } from '../runs/data-source.js';
import { type FineTuneRequest, storedSettingsOf } from '../runs/request.js';
import { variantName, withoutTeacher } from '../settings/config.js';
import type { RunResult } from '../settings/record.js';
import type { Progress } from '../train/progress.js';
import type { PlannedRun } from './expand.js';
import { runOnce } from './run-once.js';
import { type RunStatus, workThrough } from './schedule.js';

export interface CompareInput extends Omit<FineTuneRequest, 'data' | 'seed'> {
  /** Data sets, as for `fineTune`; several in memory need a name each. */
  data: readonly DataSource[];
  /** Default 1, 2, 3. */
  seeds?: readonly number[];
}

export interface CompareControl {
  /** Told what each run tells, and which run it is. */
  onProgress?: (event: Progress, runDir: string) => void;
  signal?: AbortSignal;
}

/** What a run came to, and where it lies. */
export type ComparedRun = RunResult & { readonly runDir: string };

/** The runs of one data set, in the order of the seeds. */
export interface ComparedTask {
  /** Name of the data set. */
  readonly data: string;
  readonly alone: readonly ComparedRun[];
  readonly taught: readonly ComparedRun[];
}

export interface Comparison {
  /** What was compared: `parallel` and `iDAT-P-kl`. */
  readonly names: { readonly alone: string; readonly taught: string };
  readonly tasks: readonly ComparedTask[];
}

/**
 * Trains with and without the teacher on each data set with each seed. Runs go into `out` (default runs/compare), where
 * those that are there already are taken up, so that a comparison can be stopped and repeated.
 *
 * @throws IdatError as `fineTune`; `run.settings` when a run there has other settings, images or weights; `compare.names` when
 *   two data sets have the same name
 */
export async function compare(
  { data, seeds = [1, 2, 3], out = 'runs/compare', ...settings }: CompareInput,
  { onProgress, signal = new AbortController().signal }: CompareControl = {},
): Promise<Comparison> {
  const called = data.map(nameOfData);
  const twice = called.find((name, i) => called.indexOf(name) < i);
  if (twice !== undefined) {
    throw new IdatError('compare.names', `two data sets are called ${twice}; give them names that differ`);
  }
  const pairs = data.flatMap((source) => seeds.map((seed) => pairOf({ ...settings, data: source, seed })));
  const statuses = pairs.flatMap(({ alone, taught }) => [statusOf(alone, out), statusOf(taught, out)]);
  await workThrough(statuses, {
    limit: 1,
    runner: (request, dir, control) => runOnce(request, dir, control),
    signal,
    stopAtFailure: true,
    onChange: ({ dir }, event) => event && onProgress?.(event, dir),
  });
  const ended = statuses.find(({ error }) => error !== null);
  if (ended) resultOf(ended);
  const results = new Map(statuses.map((status) => [status.run, resultOf(status)]));
  return {
    names: { alone: pairs[0]?.alone.row ?? '', taught: pairs[0]?.taught.row ?? '' },
    tasks: called.map((name) => {
      const own = pairs.filter(({ alone }) => alone.task === name);
      const of = (which: 'alone' | 'taught') => own.map((pair) => results.get(pair[which])!);
      return { data: name, alone: of('alone'), taught: of('taught') };
    }),
  };
}

/** A run with the teacher, and the same without. */
function pairOf(request: FineTuneRequest): Record<'alone' | 'taught', PlannedRun> {
  const { method } = storedSettingsOf(request);
  return { alone: planned(withoutTeacher(request, method)), taught: planned(request) };
}

function planned(request: FineTuneRequest): PlannedRun {
  const [task, settings] = [nameOfData(request.data), storedSettingsOf(request)];
  const { seed } = settings;
  const row = variantName(settings);
  return { name: join(task, row, `seed-${seed}`), task, row, paperRow: null, seed, varies: {}, request, settings };
}

const statusOf = (run: PlannedRun, out: string): RunStatus => ({
  ...{ run, dir: join(out, run.name), state: 'waiting', found: false },
  ...{ fraction: 0, secondsLeft: null, result: null, error: null },
});

/** @throws what ended the run */
function resultOf({ dir, result, error }: RunStatus): ComparedRun {
  if (result) return { runDir: resolve(dir), ...result };
  throw error?.code === 'run.bug'
    ? error.cause
    : (error ?? new IdatError('run.interrupted', 'stopped before all was compared; the same comparison goes on'));
}
