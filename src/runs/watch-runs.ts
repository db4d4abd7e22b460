/**
 * The runs below a folder, kept up with as they change, whoever makes them.
 *
 * Looks again at short intervals instead of asking the system to tell: what another machine writes to a shared disk, no system
 * tells of. A run is read again when one of its small files has changed; that a process was killed changes no file, so a
 * lock's holder is looked at each time.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isHeld } from '../files/node/lock.js';
import { RUN_LOCK } from './claim-directory.js';
import { findRunPlaces, type ListedRun, type ListRunsOptions, lookAtRun, type RunPlace } from './list-runs.js';
import { NOTES_FILE } from './run-notes.js';

export interface WatchRunsOptions extends ListRunsOptions {
  /** Between two looks; default 1 s. */
  readonly intervalMs?: number;
}

/** What has changed since the last time: runs that are new or otherwise, and names of those that are gone. */
export interface RunChanges {
  readonly runs: readonly ListedRun[];
  readonly gone: readonly string[];
}

export interface RunWatch {
  /** As they were last seen, by name. */
  readonly runs: ReadonlyMap<string, ListedRun>;
  /** Looks now, and tells what has changed as well as whoever watches. @throws IdatError `run.folder` */
  look(): Promise<void>;
  close(): void;
}

const INTERVAL_MS = 1000;
/** New folders are looked for at every so manyth look. */
const WALK_EVERY = 3;
/** Of all time no more than this share goes into looking, however many runs there are. */
const SHARE = 0.2;
const FILES = ['config.json', 'metrics.jsonl', 'state.safetensors', 'result.json', NOTES_FILE];

/**
 * Watches until it is closed. @param onChange told of every change, one call at a time
 * @throws IdatError `run.folder`
 */
export async function watchRuns(
  folder: string,
  onChange: (changes: RunChanges) => void,
  { intervalMs = INTERVAL_MS, ...options }: WatchRunsOptions = {},
): Promise<RunWatch> {
  const runs = new Map<string, ListedRun>();
  const seen = new Map<string, string>();
  let places: readonly RunPlace[] = [];
  let looks = 0;
  let closed = false;
  let timer: NodeJS.Timeout | undefined;

  const once = async (walk: boolean): Promise<void> => {
    if (walk) places = await findRunPlaces(folder, options);
    const changed: ListedRun[] = [];
    for (const place of places) {
      const settled = runs.get(place.name)?.state === 'finished';
      if (settled && !walk) continue;
      const sign = await signOf(place.dir);
      if (sign === seen.get(place.name)) continue;
      const run = await lookAtRun(place).catch(() => null); // it went while it was looked at
      if (run === null) continue;
      seen.set(place.name, sign);
      runs.set(place.name, run);
      changed.push(run);
    }
    const there = new Set(places.map(({ name }) => name));
    const gone = [...runs.keys()].filter((name) => !there.has(name));
    for (const name of gone) {
      runs.delete(name);
      seen.delete(name);
    }
    if (!closed && (changed.length > 0 || gone.length > 0)) onChange({ runs: changed, gone });
  };
  let turn: Promise<void> = Promise.resolve();
  const look = (walk: boolean): Promise<void> => {
    const next = turn.then(() => once(walk));
    turn = next.catch(() => {});
    return next;
  };
  const goOn = async () => {
    const began = performance.now();
    await look(++looks % WALK_EVERY === 0).catch(() => {}); // the folder may come back
    const spent = performance.now() - began;
    if (!closed) timer = setTimeout(goOn, Math.max(intervalMs, spent / SHARE));
    timer?.unref();
  };
  await look(true);
  timer = setTimeout(goOn, intervalMs);
  timer.unref();
  return {
    runs,
    look: () => look(true),
    close: () => {
      closed = true;
      clearTimeout(timer);
    },
  };
}

/** Another text when a look at the run would give something else. */
async function signOf(dir: string): Promise<string> {
  const times = await Promise.all(
    FILES.map((name) =>
      stat(join(dir, name)).then(
        ({ mtimeMs, size }) => `${mtimeMs} ${size}`,
        () => '-',
      ),
    ),
  );
  return [...times, await isHeld(join(dir, RUN_LOCK))].join('|');
}
