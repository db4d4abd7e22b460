/**
 * Taking a directory for a run: at any time one process, which overwrites nothing that is not the run's.
 */
import { mkdir, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { IdatError } from '../errors.js';
import { type Lock, takeLock } from '../files/node/lock.js';
import { type FineTuneSettings, variantName } from '../settings/config.js';

/** The files a run writes; those of a profile and of what pretraining hands out are no run's alone, but overwritten as well. */
export const RUN_FILES = [
  'config.json',
  'state.safetensors',
  'classes.json',
  'result.json',
  'metrics.jsonl',
  'split.json',
  'timings.jsonl',
  'student.safetensors',
  'teacher.safetensors',
  'model.safetensors',
  'model-card.md',
  'profile.json',
  'profile.md',
  'profile.svg',
];
export const RUN_LOCK = 'run.lock';

/** A directory that this process alone writes to until it is released. */
export interface ClaimedRun {
  readonly dir: string;
  readonly lock: Lock;
}

/**
 * Makes the directory a run will live in, and takes it.
 * @param data what the data set is called, where the directory's name is up to us
 * @throws IdatError `run.exists` when a run is there already, `run.locked` when one is about to be, `run.directory`
 */
export async function createRunDirectory(settings: FineTuneSettings, data: string): Promise<ClaimedRun> {
  if (settings.out !== undefined) {
    const dir = resolve(settings.out);
    await refuseExisting(dir);
    await makeFolder(dir);
    const lock = await lockRun(dir);
    try {
      await refuseExisting(dir); // another process may have been faster
    } catch (error) {
      await lock.release();
      throw error;
    }
    return { dir, lock };
  }
  await makeFolder('runs');
  for (let n = 1; ; n++) {
    const dir = resolve('runs', `${data}-${variantName(settings)}-${n}`);
    if (await makeFolder(dir, false)) return { dir, lock: await lockRun(dir) };
  }
}

/**
 * Takes a run directory for this process, until it is released or the process ends.
 * @throws IdatError `run.locked` when a living process, this one included, is at work on it; `files.write`
 */
export async function lockRun(dir: string): Promise<Lock> {
  try {
    return await takeLock(join(dir, RUN_LOCK));
  } catch (error) {
    if (error instanceof IdatError && error.code === 'files.locked') {
      const what = `${dir}: ${error.about.holder} is at work on this run`;
      throw new IdatError('run.locked', `${what}; wait until it has ended, or stop it`, { cause: error });
    }
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    const advice = 'make room there, or change its access rights';
    throw new IdatError('files.write', `${dir}: cannot write in this folder (${code}); ${advice}`, { cause: error });
  }
}

/** @throws IdatError `run.exists` where a run is, `run.directory` where other files would be overwritten */
export async function refuseExisting(dir: string): Promise<void> {
  const entries = await readdir(dir).catch((): string[] => []);
  if (entries.includes('config.json') || entries.includes('state.safetensors')) {
    const what = `${dir}: has a run already: go on with it, or choose another directory`;
    throw new IdatError('run.exists', what, { about: { run: dir } });
  }
  // a run killed at its very beginning leaves its lock, and of its files no more than split and classes
  const begun = entries.includes(RUN_LOCK) ? ['classes.json', 'split.json'] : [];
  const foreign = RUN_FILES.filter((name) => entries.includes(name) && !begun.includes(name));
  if (foreign.length === 0) return;
  throw new IdatError(
    'run.directory',
    `${dir}: a run would overwrite ${foreign.join(', ')}; a run needs a folder without them`,
  );
}

/** @returns false when it existed and that is not wanted */
async function makeFolder(dir: string, mayExist = true): Promise<boolean> {
  try {
    await mkdir(dir, { recursive: mayExist });
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && !mayExist) return false;
    throw new IdatError('run.directory', `${dir}: cannot make this folder (${code}); a run needs one it can write in`, {
      cause: error,
    });
  }
}
