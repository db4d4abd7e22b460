/** All that the training loop knows of disks: something that keeps a run. */

import { safetensorsIn } from '../files/safetensors-reader.js';
import type { EpochTiming, RunResult } from '../settings/record.js';
import { encodeState, readState, type TrainState } from './state.js';

/** Where a run stands. */
export interface Saved {
  readonly state: TrainState;
  readonly timings: readonly EpochTiming[];
}

/** Keeps one run. A run directory is one, memory another. */
export interface Store {
  /** Where it is, in words: the path of a directory. */
  readonly place: string;
  /** What was saved last; null where nothing was. */
  load(): Promise<Saved | null>;
  /** Keeps the state, and publishes it: as a whole or not at all. */
  save(saved: Saved): Promise<void>;
  /** Writes what follows from a state for others to read, such as metrics; for a state that is kept already, or the first. */
  publish(state: TrainState): Promise<void>;
  /** Keeps the result; the run has ended with it. */
  finish(result: RunResult): Promise<void>;
  /** The result of a run that has ended. */
  result(): Promise<RunResult | null>;
}

/** Keeps a run in memory, as the bytes that a file would hold. */
export function memoryStore(): Store {
  let kept: { bytes: Uint8Array; timings: readonly EpochTiming[] } | null = null;
  let ended: RunResult | null = null;
  return {
    place: 'memory',
    load: async () =>
      kept && { state: await readState(safetensorsIn(kept.bytes, 'the state in memory')), timings: kept.timings },
    save: async ({ state, timings }) => {
      kept = { bytes: await encodeState(state), timings: [...timings] };
    },
    publish: async () => {},
    finish: async (result) => {
      ended = result;
    },
    result: async () => ended,
  };
}
