/** The paper's question on one's own data: adapters alone against the same taught by a smaller model. */
import { join } from 'node:path';
import { IdatError } from '../errors.js';
import { type DataSource, nameOfData } from '../runs/data-source.js';
import type { FineTuneResult } from '../runs/fine-tune.js';
import { type FineTuneRequest, storedSettingsOf } from '../runs/request.js';
import { variantName, withoutTeacher } from '../settings/config.js';
import type { Progress } from '../train/progress.js';
import { runOnce } from './run-once.js';

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

/** The runs of one data set, in the order of the seeds. */
export interface ComparedTask {
  /** Name of the data set. */
  readonly data: string;
  readonly alone: readonly FineTuneResult[];
  readonly taught: readonly FineTuneResult[];
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
 * @throws IdatError as `fineTune`; `run.settings` when a run there has other settings, `run.changed` when it has other
 *   images; `compare.names` when two data sets have the same name
 */
export async function compare(
  { data, seeds = [1, 2, 3], out = 'runs/compare', ...settings }: CompareInput,
  { onProgress, signal }: CompareControl = {},
): Promise<Comparison> {
  const called = data.map(nameOfData);
  const twice = called.find((name, i) => called.indexOf(name) < i);
  if (twice !== undefined) {
    throw new IdatError('compare.names', `two data sets are called ${twice}; give them names that differ`);
  }
  const tasks: ComparedTask[] = [];
  let names = { alone: '', taught: '' };
  const run = (request: FineTuneRequest, dir: string) =>
    runOnce(request, dir, {
      ...(onProgress && { onProgress: (event: Progress) => onProgress(event, dir) }),
      ...(signal && { signal }),
    });
  for (const source of data) {
    const name = nameOfData(source);
    const alone: FineTuneResult[] = [];
    const taught: FineTuneResult[] = [];
    for (const seed of seeds) {
      const withTeacher: FineTuneRequest = { ...settings, data: source, seed };
      const parsed = storedSettingsOf(withTeacher);
      const without = withoutTeacher(withTeacher, parsed.method);
      names = { alone: variantName(storedSettingsOf(without)), taught: variantName(parsed) };
      alone.push(await run(without, join(out, name, names.alone, `seed-${seed}`)));
      taught.push(await run(withTeacher, join(out, name, names.taught, `seed-${seed}`)));
    }
    tasks.push({ data: name, alone, taught });
  }
  return { names, tasks };
}
