/** Settings as a run stores them. */
import { resolve } from 'node:path';
import { isModelPath } from '../backbones/node/registry.js';
import { type FineTuneInput, type FineTuneSettings, parseConfig } from '../settings/config.js';
import { type DataSource, dataSetting } from './data-source.js';

/** What `fineTune` is asked to do: its settings, which are JSON but for images in memory. */
export type FineTuneRequest = Omit<FineTuneInput, 'data'> & { data: DataSource };

/**
 * A request's settings, paths absolute so that the run can be resumed from anywhere; names of models stay names.
 * @throws IdatError `config.field`
 */
export function storedSettingsOf(request: FineTuneRequest): FineTuneSettings {
  const settings = parseConfig({ ...request, data: dataSetting(request.data) });
  const model = (name: string) => (isModelPath(name) ? resolve(name) : name);
  return {
    ...settings,
    student: model(settings.student),
    teacher: settings.teacher && model(settings.teacher),
    ...(settings.cacheDir !== undefined && { cacheDir: resolve(settings.cacheDir) }),
    ...(settings.out !== undefined && { out: resolve(settings.out) }),
  };
}
