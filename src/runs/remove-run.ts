/** Removing runs in a way that can be undone: they are put aside within their folder, and gone for good when asked or forgotten. */
import { randomBytes } from 'node:crypto';
import { lstat, mkdir, readdir, readFile, rename, rm, rmdir, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { IdatError } from '../errors.js';
import { writeFileAtomic } from '../files/node/atomic-write.js';
import { lockRun, RUN_LOCK } from './claim-directory.js';
import type { RunPlace } from './list-runs.js';

/** A run that was put aside. */
export interface RemovedRun {
  /** By which it is asked for again. */
  readonly id: string;
  /** Its path below the folder, where it goes back to. */
  readonly name: string;
  /** When it was removed, as an ISO date. */
  readonly removed: string;
}

/** Begins with a point, so that no list of runs looks into it. */
const ASIDE = '.idat-removed';
const ID = /^\d{14}-[\da-f]{8}$/;
const About = z.object({ name: z.string(), removed: z.string() });

/**
 * Puts a run aside.
 * @param folder the folder that it was listed in
 * @throws IdatError `run.locked` when a process is at work on it, `run.remove` when it cannot be moved
 */
export async function removeRun(folder: string, { name, dir }: RunPlace): Promise<RemovedRun> {
  if (resolve(dir) === resolve(folder)) {
    throw new IdatError('run.remove', `${dir}: this run is the folder itself that is listed; remove it by hand`);
  }
  const removed = new Date().toISOString();
  const id = `${removed.replace(/\D/g, '').slice(0, 14)}-${randomBytes(4).toString('hex')}`;
  const place = join(folder, ASIDE, id);
  const lock = await lockRun(dir); // nobody begins to work on it meanwhile
  try {
    await mkdir(place, { recursive: true });
    await writeFileAtomic(join(place, 'about.json'), `${JSON.stringify({ name, removed })}\n`);
    await rename(dir, join(place, 'run'));
    await unlink(join(place, 'run', RUN_LOCK)).catch(() => {});
  } catch (error) {
    await rm(place, { recursive: true, force: true });
    throw refusal(dir, 'cannot be moved aside', error);
  } finally {
    await lock.release();
  }
  await removeEmpty(dirname(dir), resolve(folder));
  return { id, name, removed };
}

/** Those that can be had again, the last one first. */
export async function removedRuns(folder: string): Promise<RemovedRun[]> {
  const ids = (await readdir(join(folder, ASIDE)).catch((): string[] => [])).filter((name) => ID.test(name));
  const found = await Promise.all(ids.map(async (id) => aboutOf(folder, id)));
  return found.filter((one) => one !== null).sort((a, b) => (a.removed < b.removed ? 1 : -1));
}

async function aboutOf(folder: string, id: string): Promise<RemovedRun | null> {
  try {
    const text = await readFile(join(folder, ASIDE, id, 'about.json'), 'utf8');
    return { id, ...About.parse(JSON.parse(text)) };
  } catch {
    return null;
  }
}

/**
 * Puts a run back where it was.
 * @throws IdatError `run.removed` when it is not there any more, `run.exists` when another lies in its place, `run.remove`
 */
export async function restoreRun(folder: string, id: string): Promise<RemovedRun> {
  const about = ID.test(id) ? await aboutOf(folder, id) : null;
  const root = resolve(folder);
  const dir = about === null ? root : resolve(root, about.name);
  if (about === null || !dir.startsWith(join(root, '/'))) {
    throw new IdatError('run.removed', `${folder}: this run cannot be had again; it has been removed for good`);
  }
  const taken = await lstat(dir).catch(() => null);
  if (taken) throw new IdatError('run.exists', `${dir}: there is something in the run’s place; move it away first`);
  try {
    await mkdir(dirname(dir), { recursive: true });
    await rename(join(folder, ASIDE, id, 'run'), dir);
  } catch (error) {
    throw refusal(dir, 'cannot be moved back', error);
  }
  await rm(join(folder, ASIDE, id), { recursive: true, force: true });
  await rmdir(join(folder, ASIDE)).catch(() => {});
  return about;
}

/** Removes for good what was put aside before so many milliseconds. */
export async function forgetRemoved(folder: string, olderThanMs = 0): Promise<void> {
  for (const { id, removed } of await removedRuns(folder)) {
    if (Date.now() - Date.parse(removed) < olderThanMs) continue;
    await rm(join(folder, ASIDE, id), { recursive: true, force: true });
  }
  await rmdir(join(folder, ASIDE)).catch(() => {});
}

/** Folders that held nothing but the run, such as its task's in a sweep. */
async function removeEmpty(dir: string, root: string): Promise<void> {
  for (let at = resolve(dir); at.startsWith(join(root, '/')); at = dirname(at)) {
    const gone = await rmdir(at).then(
      () => true,
      () => false,
    );
    if (!gone) return;
  }
}

function refusal(dir: string, what: string, error: unknown): unknown {
  if (error instanceof IdatError) return error;
  const { code } = error as NodeJS.ErrnoException;
  return new IdatError('run.remove', `${dir}: ${what} (${code}); check the folder’s access rights`, { cause: error });
}
