/** Waiting for a server that is full or away. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isPassing } from './engine.js';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;

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
