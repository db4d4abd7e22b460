/**
 * Who writes the bytes of a file that is not complete yet.
 *
 * Beside the blob HASH lies HASH.OWNER.incomplete, and its owner alone writes to it. A file changes hands by a rename,
 * which succeeds for one of many: so no two processes ever write to one file, however they are started or killed, and no
 * lock can be left behind.
 */
import { randomBytes } from 'node:crypto';
import { readdir, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fateOf, identityText, parseIdentity, thisProcess } from '../files/node/process-identity.js';
import { isFile } from './cache.js';

/** Longer than the longest a living owner goes without writing: the pauses between its attempts together. */
const ABANDONED_AFTER_MS = 10 * 60_000;
/** Longer than one that writes goes without. */
const SILENT_AFTER_MS = 10_000;
const POLL_MS = 300;

/** The owner of a file whose process ended in good order. */
const NOBODY = 'idat';

const pathOf = (blob: string, owner: string): string => `${blob}.${owner}.incomplete`;

/**
 * A path that this caller alone may write to, holding what earlier attempts left, if any did. While another living
 * process is at work on the same blob, waits for what becomes of it.
 *
 * @returns null when the blob is there
 */
export async function claimIncomplete(
  blob: string,
  { signal, onWait }: { signal?: AbortSignal | undefined; onWait?: () => void } = {},
): Promise<string | null> {
  const own = pathOf(blob, `${identityText(thisProcess())}-${randomBytes(4).toString('hex')}`);
  for (let waited = false; ; waited = true) {
    if (await isFile(blob)) return null;
    const found = await incompletesOf(blob);
    if (found.some(({ alive }) => alive)) {
      if (!waited) onWait?.();
      await sleep(POLL_MS, undefined, { signal });
      continue;
    }
    const [longest, ...shorter] = found.sort((a, b) => b.size - a.size);
    if (!longest) return own;
    for (const { path } of shorter) await unlink(path).catch(() => {});
    const taken = await rename(longest.path, own).then(
      () => true,
      () => false, // by another, just now
    );
    if (taken) return own;
  }
}

/** Leaves the file to whoever goes on; one that holds nothing is removed. */
export async function releaseIncomplete(blob: string, own: string): Promise<void> {
  const found = await stat(own).catch(() => null);
  if (found?.size === 0) await unlink(own).catch(() => {});
  else if (found) await rename(own, pathOf(blob, NOBODY)).catch(() => {});
}

async function incompletesOf(blob: string): Promise<{ path: string; size: number; alive: boolean }[]> {
  const folder = dirname(blob);
  const names = await readdir(folder).catch((): string[] => []);
  const found = names.map(async (name) => {
    const prefix = `${basename(blob)}.`;
    const owner = name.startsWith(prefix)
      ? /^(idat|[0-9a-f]{8}(?:-\d+)+-[0-9a-f]{8})\.incomplete$/.exec(name.slice(prefix.length))?.[1]
      : undefined;
    if (owner === undefined) return [];
    const path = join(folder, name);
    const { size, mtimeMs } = (await stat(path).catch(() => null)) ?? {};
    return size === undefined ? [] : [{ path, size, alive: isAlive(owner, Date.now() - mtimeMs!) }];
  });
  return (await Promise.all(found)).flat();
}

/** Processes out of sight, on other machines that may share the folder or in other containers, are judged by their last write. */
function isAlive(owner: string, sinceWriteMs: number): boolean {
  if (owner === NOBODY) return false;
  const identity = parseIdentity(owner);
  const fate = identity ? fateOf(identity) : 'elsewhere';
  if (fate !== 'elsewhere') return fate === 'alive';
  // this machine's other containers: most often the one before this, restarted, and should it live the hash tells in the end
  const isHere = identity?.host === thisProcess().host;
  return sinceWriteMs <= (isHere ? SILENT_AFTER_MS : ABANDONED_AFTER_MS);
}
