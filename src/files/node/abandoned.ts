/** Temporary files and folders of processes that were killed: their names tell whose they are. */
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fateOf, parseIdentity } from './process-identity.js';

/** Nothing temporary is left untouched for so long by a living process. */
const FORGOTTEN_MS = 24 * 60 * 60_000;

/**
 * Removes what no living process owns. What cannot be removed stays; what other machines, other containers and versions that
 * wrote no owner into names have left goes after a day.
 * @param pattern of the names of what is temporary
 * @param options.nameless what names no owner goes at once: nobody else is at work in this folder
 */
export async function removeAbandoned(
  folder: string,
  pattern: RegExp,
  options: { nameless?: boolean } = {},
): Promise<void> {
  const names = await readdir(folder).catch((): string[] => []);
  for (const name of names) {
    if (!pattern.test(name)) continue;
    const path = join(folder, name);
    if ((options.nameless && !parseIdentity(name)) || (await isAbandoned(name, path)))
      await rm(path, { recursive: true, force: true }).catch(() => {});
  }
}

async function isAbandoned(name: string, path: string): Promise<boolean> {
  const owner = parseIdentity(name);
  const fate = owner ? fateOf(owner) : 'elsewhere';
  if (fate !== 'elsewhere') return fate === 'dead';
  const mtimeMs = await stat(path).then(
    (found) => found.mtimeMs,
    () => Date.now(),
  );
  return Date.now() - mtimeMs > FORGOTTEN_MS;
}
