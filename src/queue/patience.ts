/** Waiting for a server that is full or away. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isPassing } from './engine.js';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;
/** How long a worker that leaves tries to save what it has. */
const FAREWELL_MS = 20_000;

export interface Patience {
  /** Ends the waiting: the last refusal is thrown. */
  readonly signal?: AbortSignal;
  /** Told once when waiting begins, and why. */
  readonly onWait?: (why: string) => void;
}

/** Repeats what is refused for a while until it succeeds. @throws what is refused for good */
export async function patiently<T>(action: () => Promise<T>, { signal, onWait }: Patience = {}): Promise<T> {
  for (let times = 0; ; times++) {
    try {
      return await action();
    } catch (error) {
      if (!isPassing(error) || signal?.aborted) throw error;
      if (times === 0) onWait?.((error as Error).message);
      const pause = Math.min(FIRST_PAUSE_MS * 2 ** times, LONGEST_PAUSE_MS);
      await sleep(pause, undefined, { ...(signal && { signal }) }).catch(() => {});
    }
  }
}

/** What work comes to, unless the signal comes first: commands to a server that is away wait for it without end. @throws the signal's reason */
export function unless<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** Tells the server something until a signal; what it refuses for good is as it is: a lock was lost. */
export async function tolerantly(action: () => Promise<unknown>, late: AbortSignal): Promise<void> {
  await unless(late, patiently(action, { signal: late })).catch(() => {});
}

const aborted = (signal: AbortSignal): Promise<void> =>
  signal.aborted
    ? Promise.resolve()
    : new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));

/** Aborted some time after another signal: so long what was to be stopped may still wait for the server. */
export function farewellTo(signal: AbortSignal): AbortSignal {
  const late = new AbortController();
  void aborted(signal).then(() => setTimeout(() => late.abort(), FAREWELL_MS).unref());
  return late.signal;
}
