/** A run as a directory: the files of train/run-files.ts on this disk. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { IdatError } from '../errors.js';
import { removeAbandoned } from '../files/node/abandoned.js';
import { writeFileAtomic } from '../files/node/atomic-write.js';
import { openSafetensors } from '../files/node/safetensors-file.js';
import type { EpochMetrics, EpochTiming, RunRecord, RunResult } from '../settings/record.js';
import type { TrainableLayout, TunedModel } from '../step/model.js';
import type { Pair, Role } from '../step/roles.js';
import * as files from '../train/run-files.js';
import { parsed, type RunFolder, recordFrom, storeIn } from '../train/run-files.js';
import type { Store } from '../train/store.js';
import { writeEvents } from './event-file.js';

/** The directory of a run, as the place of its files. */
const onDisk = (dir: string): RunFolder => ({
  place: dir,
  pathOf: (name) => join(dir, name),
  text: (name) => readText(join(dir, name)),
  tensors: async (name) => ((await readdir(dir)).includes(name) ? openSafetensors(join(dir, name)) : null),
  write: (name, content) => writeFileAtomic(join(dir, name), content),
});

export const writeRecord = (dir: string, record: RunRecord, classes: readonly string[]): Promise<void> =>
  files.writeRecord(onDisk(dir), record, classes);

/** @throws IdatError `run.missing` when there is no run, `run.config` for a field that cannot be */
export const readRecord = (dir: string): Promise<RunRecord> => files.readRecord(onDisk(dir));

/**
 * What a run was asked to do, from a file of any name.
 * @returns `absent` where there is no such file, `foreign` where it is no run's
 * @throws IdatError `run.damaged` for what is no JSON, `run.config` for a field that cannot be
 */
export async function readRecordFile(path: string): Promise<RunRecord | 'absent' | 'foreign'> {
  const text = await readText(path);
  return recordFrom(text === null ? undefined : parsed(text, path), path);
}

/** @throws IdatError `run.missing`, `run.damaged`, also when there are not `count` of them */
export const readClasses = (dir: string, count: number): Promise<string[]> => files.readClasses(onDisk(dir), count);

/** Null where the run has not ended. @throws IdatError `run.damaged`, also when it is another run's */
export const readResult = (dir: string, record: RunRecord): Promise<RunResult | null> =>
  files.readResult(onDisk(dir), record);

export const readMetrics = (dir: string): Promise<EpochMetrics[]> => files.readMetrics(onDisk(dir));

/** How long each epoch took. @throws IdatError `run.damaged` */
export const readTimings = (dir: string): Promise<EpochTiming[]> => files.readTimings(onDisk(dir));

/**
 * The trained numbers of one of a run's models, laid out as the model reads them.
 * @throws IdatError `run.damaged` when the file holds another model's, and as `openSafetensors`
 */
export async function readTuned(dir: string, role: Role, layout: TrainableLayout): Promise<Float32Array> {
  const file = await openSafetensors(join(dir, `${role}.safetensors`));
  try {
    return await files.tunedIn(file, layout);
  } finally {
    await file.close();
  }
}

/**
 * Keeps a run in its directory. Loading removes what a killed process left half-written.
 * @param models tell what the state's numbers are
 */
export function directoryStore(dir: string, record: RunRecord, models: Pair<TunedModel>): Store {
  const store = storeIn(onDisk(dir), record, models);
  const load = async () => {
    await removeAbandoned(dir, /^\.idat-.*\.tmp$/, { nameless: true });
    return store.load();
  };
  const save: Store['save'] = async (saved) => {
    await store.save(saved);
    if (!record.settings.tensorboard) return;
    await writeEvents(dir, join(dir, 'tensorboard'), saved.state.metrics, saved.timings);
  };
  return { ...store, load, save };
}

/** Null where there is no such file. @throws IdatError `run.damaged` */
const readText = (path: string): Promise<string | null> =>
  readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
    throw new IdatError('run.damaged', `${path}: cannot be read (${error.code}); check its access rights`, {
      cause: error,
    });
  });
