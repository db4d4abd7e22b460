/** What exporting must not write over: the run itself, and the weights it needs to be used. */
import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { IdatError } from '../errors.js';
import { RUN_FILES } from '../runs/claim-directory.js';
import type { OpenedRun } from '../runs/open-run.js';
import { weightFiles } from '../runs/weight-files.js';

/**
 * @param paths to be written
 * @throws IdatError `export.overwrites` when one of them, by whatever name or link, is a file of the run or of its backbones
 */
export async function refuseOverwriting({ dir, record }: OpenedRun, paths: readonly string[]): Promise<void> {
  const bases = [record.student, record.teacher].flatMap((backbone) => (backbone ? [backbone.path] : []));
  const weights = (await Promise.all(bases.map((path) => weightFiles(path).catch(() => [path])))).flat();
  const own = RUN_FILES.map((name) => join(dir, name));
  const taken = new Map<string, string>();
  for (const path of own) taken.set(await placeOf(path), 'a file of the run');
  for (const path of weights) taken.set(await placeOf(path), 'the backbone that the run began with');
  for (const path of paths) {
    const what = taken.get(await placeOf(path));
    if (what === undefined) continue;
    throw new IdatError('export.overwrites', `${path}: is ${what}, which is still needed; write to another file`);
  }
}

/** The same for every name of a file. */
async function placeOf(path: string): Promise<string> {
  const found = await stat(path, { bigint: true }).catch(() => null);
  if (found) return `${found.dev}:${found.ino}`;
  const folder = await realpath(dirname(path)).catch(() => dirname(path));
  return join(folder, basename(path));
}
