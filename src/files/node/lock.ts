/**
 * A lock that one process holds, as a file that names it.
 *
 * Written for this rather than taken: proper-lockfile 4.1 (2021) knows no process, so that a killed holder's lock holds for
 * seconds more and a holder whose event loop is blocked loses it; lockfile is given up by its authors; flock(2), which dies
 * with its process, needs a native module. A holder that can be seen is judged at once by pid and start. One that cannot (on
 * another machine that shares the disk, or in another container) gives a sign every two seconds and is taken for dead after a
 * silence.
 */
import { mkdir, open, readFile, rmdir, stat, unlink, utimes } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { IdatError } from '../../errors.js';
import { fateOf, identityText, type ProcessIdentity, parseIdentity, thisProcess } from './process-identity.js';

export interface Lock {
  /** Harmless when that is done. */
  release(): Promise<void>;
}

export interface LockOptions {
  /** How long to wait for a living holder; default: not at all. */
  readonly patienceMs?: number;
  /** Silence of a holder out of sight after which it is taken for dead; default 10 s on this machine, 30 s on others. */
  readonly silenceMs?: number;
}

const SIGN_MS = 2000;
const SILENCE_MS = { here: 10_000, away: 30_000 };
/** To replace a dead holder's lock takes a millisecond; who does not end within this was killed meanwhile. */
const GUARD_MS = 5000;
const POLL_MS = 20;

/**
 * Takes a lock, also one whose holder is dead.
 * @param path of the lock file; its folder must exist
 * @throws IdatError `files.locked` when another living process, or this one, holds it; the system's error where the file cannot be
 *   made
 */
export async function takeLock(path: string, options: LockOptions = {}): Promise<Lock> {
  const { patienceMs = 0 } = options;
  const began = performance.now();
  for (;;) {
    if (await create(path)) return held(path);
    const holder = await readHolder(path);
    if (holder === 'gone') continue;
    if ((await isDead(path, holder, options)) && (await replace(path, holder))) return held(path);
    if ((await readHolder(path)) === holder && performance.now() - began >= patienceMs) throw locked(path, holder);
    await sleep(POLL_MS);
  }
}

/** Runs `action` with the lock held. @throws as `takeLock` */
export async function withLock<T>(path: string, options: LockOptions, action: () => Promise<T>): Promise<T> {
  const lock = await takeLock(path, options);
  try {
    return await action();
  } finally {
    await lock.release();
  }
}

/**
 * Whether somebody seems to hold a lock, without taking it. Who is out of sight is judged by the last sign alone, without
 * watching for the next; clocks of machines that differ may so deceive a look, never who takes the lock.
 */
export async function isHeld(path: string): Promise<boolean> {
  const text = await readHolder(path).catch(() => 'gone');
  if (text === 'gone') return false;
  const identity = parseIdentity(text);
  const fate = identity ? fateOf(identity) : 'elsewhere';
  if (fate !== 'elsewhere') return fate === 'alive';
  const last = await lastSign(path);
  return last !== null && Date.now() - last < (isHere(identity) ? SILENCE_MS.here : SILENCE_MS.away);
}

/** The process that seems to hold a lock, where it is one of this machine's; null where nobody does, or somebody elsewhere. */
export async function holderHere(path: string): Promise<number | null> {
  const identity = parseIdentity(await readHolder(path).catch(() => ''));
  return identity && fateOf(identity) === 'alive' ? identity.pid : null;
}

/** @returns false when there is one already */
async function create(path: string): Promise<boolean> {
  const handle = await open(path, 'wx').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EEXIST') return null;
    throw error;
  });
  if (!handle) return false;
  try {
    await handle.writeFile(`${identityText(thisProcess())}\n`);
    return true;
  } catch (error) {
    await unlink(path).catch(() => {});
    throw error;
  } finally {
    await handle.close();
  }
}

function held(path: string): Lock {
  const sign = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => {}), SIGN_MS);
  sign.unref();
  let released = false;
  return {
    release: async () => {
      if (released) return;
      released = true;
      clearInterval(sign);
      if ((await readHolder(path)) === identityText(thisProcess())) await unlink(path).catch(() => {});
    },
  };
}

/** The text of a lock; `gone` where there is none any more. */
const readHolder = (path: string): Promise<string> =>
  readFile(path, 'utf8').then(
    (text) => text.trim(),
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return 'gone';
      throw error;
    },
  );

async function isDead(path: string, holder: string, { silenceMs }: LockOptions): Promise<boolean> {
  const identity = parseIdentity(holder); // null where its maker was killed before it had written
  const fate = identity ? fateOf(identity) : 'elsewhere';
  if (fate !== 'elsewhere') return fate === 'dead';
  return isSilent(path, silenceMs ?? (isHere(identity) ? SILENCE_MS.here : SILENCE_MS.away));
}

const isHere = (identity: ProcessIdentity | null) => identity === null || identity.host === thisProcess().host;

/** When it was touched; null where it is gone. */
const lastSign = (path: string): Promise<number | null> =>
  stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => null,
  );

/** Watches for a sign of life: at least as long as two take, as clocks of machines differ. */
async function isSilent(path: string, silenceMs: number): Promise<boolean> {
  const last = await lastSign(path);
  const began = performance.now();
  const least = Math.min(silenceMs, 2.5 * SIGN_MS);
  for (;;) {
    if (last === null || (await lastSign(path)) !== last) return false;
    const watched = performance.now() - began;
    if (watched >= least && Math.max(watched, Date.now() - last) >= silenceMs) return true;
    await sleep(Math.min(250, silenceMs / 4));
  }
}

/**
 * Puts this process in the place of a dead holder. Of several who found it dead one does so at a time, and looks once more:
 * the lock may be another's by now.
 */
async function replace(path: string, holder: string): Promise<boolean> {
  const guard = `${path}.guard`;
  const entered = await mkdir(guard).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return false;
      throw error;
    },
  );
  if (!entered) {
    const since = await lastSign(guard);
    if (since !== null && Date.now() - since > GUARD_MS) await rmdir(guard).catch(() => {});
    return false;
  }
  try {
    if ((await readHolder(path)) !== holder) return false;
    await unlink(path);
    return await create(path);
  } finally {
    await rmdir(guard).catch(() => {});
  }
}

function locked(path: string, holder: string): IdatError {
  const identity = parseIdentity(holder);
  const who = identity ? `process ${identity.pid}${isHere(identity) ? '' : ' on another machine'}` : 'another process';
  return new IdatError('files.locked', `${path}: ${who} holds this lock; wait until it has ended, or end it`, {
    about: { holder: who },
  });
}
