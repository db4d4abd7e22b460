/** One run of an experiment: made, gone on with, or found finished. */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { IdatError } from '../errors.js';
import { isInMemory } from '../runs/data-source.js';
import { type FineTuneResult, fineTune, resume } from '../runs/fine-tune.js';
import { type FineTuneRequest, storedSettingsOf } from '../runs/request.js';
import { readRecord } from '../runs/run-directory.js';
import { differingSettings } from '../settings/config.js';
import { flagOf } from '../settings/fields.js';
import type { RunControl } from '../train/progress.js';

/**
 * Trains in a directory. A run that is there already is taken up where it stands, as long as it is the one asked for.
 * @throws IdatError `run.settings` when the run there has other settings that change results, naming them
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
  const wanted = storedSettingsOf(request);
  const { settings } = await readRecord(dir);
  const differing = differingSettings(wanted, settings);
  const { data, cacheDir } = request;
  // settings do not tell images in memory apart
  if (differing.length === 0)
    return resume(dir, { ...control, ...(isInMemory(data) && { data }), ...(cacheDir !== undefined && { cacheDir }) });
  const names = differing.map((name) => `${flagOf(name)} ${shown(settings[name as keyof typeof settings])}`);
  const what = `the run here was made with other settings (${names.join(', ')})`;
  throw new IdatError('run.settings', `${dir}: ${what}; remove it or keep the new one elsewhere`, {
    about: { run: dir },
  });
}

const shown = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? 'not given'));
