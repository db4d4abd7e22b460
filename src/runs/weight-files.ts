/** The files that a run's frozen weights lie in, and whether they are what they were. */
import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Backbone } from '../backbones/backbone.js';
import { IdatError } from '../errors.js';
import { type Pair, ROLES } from '../step/roles.js';

/** All files of a checkpoint. @param path of its file, or of the index of its parts */
export async function weightFiles(path: string): Promise<string[]> {
  if (!path.endsWith('.index.json')) return [path];
  const { weight_map: parts } = JSON.parse(await readFile(path, 'utf8')) as { weight_map: Record<string, string> };
  return [path, ...new Set(Object.values(parts).map((name) => join(dirname(path), name)))];
}

/**
 * Watches the weights of a run: they are read from where they lie all the time, so that others written over them would be
 * trained with under the old hash, and a file made shorter ends the process.
 *
 * @returns a check: @throws IdatError `run.changed` when a file has another size, time or inode than it had
 */
export async function watchWeights(backbones: Pair<Backbone>): Promise<() => Promise<void>> {
  const paths = ROLES.flatMap((role) => {
    const path = backbones[role]?.path;
    return path ? [path] : []; // weights that start from random numbers lie nowhere
  });
  const files = (await Promise.all(paths.map(weightFiles))).flat();
  const before = await Promise.all(files.map(lookOf));
  return async () => {
    for (const [i, path] of files.entries()) {
      if ((await lookOf(path)) === before[i]) continue;
      const what = `${path}: these weights have changed since the run began`;
      throw new IdatError('run.changed', `${what}; put the old file back and go on, or start a new run`);
    }
  };
}

const lookOf = (path: string): Promise<string> =>
  stat(path, { bigint: true }).then(
    ({ size, mtimeNs, ino, dev }) => [size, mtimeNs, ino, dev].join(),
    () => 'gone',
  );
