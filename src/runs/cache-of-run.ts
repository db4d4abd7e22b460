/** Where a run that is taken up may keep what later runs find again. */
import { realpath } from 'node:fs/promises';
import { isAbsolute, relative } from 'node:path';
import { listCache } from '../files/node/cache-files.js';
import type { CachePlan } from '../settings/plan.js';
import type { RunControl } from '../train/progress.js';
import type { OpenedRun } from './open-run.js';

/**
 * A run may come from a stranger, who must not choose where this machine writes. So the folder that its settings name is used
 * where it lies within the run, or keeps files of idat already; elsewhere it has to be named again.
 * @param given named by who takes the run up
 */
export async function cacheOfRun(
  { dir, plan: { cache } }: Pick<OpenedRun, 'dir' | 'plan'>,
  given: string | undefined,
  { onProgress }: RunControl,
): Promise<CachePlan> {
  const { folder } = cache;
  if (given !== undefined) return { ...cache, folder: given };
  if (folder === null || (await isWithin(dir, folder)) || (await listCache(folder)).length > 0) return cache;
  const what = `the run names ${folder} for its cache, where idat has kept nothing so far, and which a run may not choose`;
  onProgress?.({ kind: 'note', text: `${what}: nothing is kept; name the folder to use it`, code: 'cache.unasked' });
  return { ...cache, folder: null };
}

/** By where links lead; a folder that is not there yet is nowhere. */
async function isWithin(dir: string, folder: string): Promise<boolean> {
  const [outer, inner] = await Promise.all([dir, folder].map((path) => realpath(path).catch(() => null)));
  if (!outer || !inner) return false;
  const way = relative(outer, inner);
  return !isAbsolute(way) && way.split(/[\\/]/)[0] !== '..';
}
