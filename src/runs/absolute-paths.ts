/** Settings as a run stores them. */
import { resolve } from 'node:path';
import { isModelPath } from '../backbones/node/registry.js';
import type { FineTuneSettings } from '../settings/config.js';

/** So that the run can be resumed from anywhere; names of models stay names. */
export function withAbsolutePaths(settings: FineTuneSettings): FineTuneSettings {
  const model = (name: string) => (isModelPath(name) ? resolve(name) : name);
  return {
    ...settings,
    data: resolve(settings.data),
    student: model(settings.student),
    teacher: settings.teacher && model(settings.teacher),
    ...(settings.cacheDir !== undefined && { cacheDir: resolve(settings.cacheDir) }),
    ...(settings.out !== undefined && { out: resolve(settings.out) }),
  };
}
