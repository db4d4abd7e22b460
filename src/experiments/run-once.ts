/** One run of an experiment: made, gone on with, or found finished. */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { isModelPath } from '../backbones/node/registry.js';
import { IdatError } from '../errors.js';
import { type FineTuneResult, fineTune, type ResumeControl, resume } from '../runs/fine-tune.js';
import { type OpenedRun, openRun } from '../runs/open-run.js';
import { type FineTuneRequest, storedSettingsOf } from '../runs/request.js';
import type { RunControl } from '../train/progress.js';
import { differencesToRun } from './same-run.js';

/**
 * Trains in a directory. A run that is there already is taken up where it stands, as long as it is the one asked for; its images
 * and weights may lie elsewhere by now.
 * @throws IdatError `run.settings` when the run there has other settings that change results, other images or weights, naming
 *   them
 */
export async function runOnce(
  request: FineTuneRequest,
  dir: string,
  control: RunControl = {},
): Promise<FineTuneResult> {
  const begun = await access(join(dir, 'config.json')).then(
    () => true,
    () => false,
  );
  if (!begun) return fineTune({ ...request, out: dir }, control);
  const run = await openRun(dir);
  const differing = await differencesToRun(run, request, control);
  if (differing.length === 0) return resume(dir, { ...control, ...(run.result === null && placesOf(request, run)) });
  const what = `the run here was made with other settings (${differing.join(', ')})`;
  throw new IdatError('run.settings', `${dir}: ${what}; remove it or keep the new one elsewhere`, {
    about: { run: dir },
  });
}

/** Where what the run needs to go on lies now. */
function placesOf(request: FineTuneRequest, { record }: OpenedRun): Omit<ResumeControl, keyof RunControl> {
  const { student, teacher, cacheDir } = storedSettingsOf(request);
  const moved = (place: string, then: string | null) => place !== then && isModelPath(place);
  return {
    data: request.data,
    ...(moved(student, record.settings.student) && { student }),
    ...(teacher !== null && moved(teacher, record.settings.teacher) && { teacher }),
    ...(cacheDir !== undefined && { cacheDir }),
  };
}
