/** The main thread's side of time-runs.ts. */
import { setTimeout } from 'node:timers/promises';
import { RUNS_CHANNEL } from './time-runs.js';

export interface RunClock {
  /** Milliseconds inside ONNX Runtime since the last call, once `runs` runs of that time have been reported. */
  take(runs: number): Promise<number>;
  /** The same without waiting, for as many as there were. */
  takeAll(): number;
}

export function startRunClock(): RunClock {
  let elapsedMs = 0;
  let count = 0;
  const channel = new BroadcastChannel(RUNS_CHANNEL);
  channel.unref();
  channel.onmessage = (event: unknown) => {
    elapsedMs += (event as { data: number }).data;
    count++;
  };
  const takeAll = () => {
    const taken = elapsedMs;
    elapsedMs = 0;
    count = 0;
    return taken;
  };
  return {
    takeAll,
    take: async (runs) => {
      while (count < runs) await setTimeout(1); // its report travels by another port than the result
      return takeAll();
    },
  };
}
