/** What a run of the benchmark finds out: the content of bench/results/NAME.json. */
import type { Agreement } from './agreement.js';
import type { gitState, machine } from './machine.js';
import type { Tried } from './pytorch.js';
import type { MeasuredRow } from './readings.js';
import type { WatchedRun } from './train-process.js';

export interface Result {
  format: 'idat-bench-peers-1';
  command: string;
  measuredAt: string;
  machine: ReturnType<typeof machine>;
  versions: Record<string, string>;
  git: ReturnType<typeof gitState>;
  /** Against PyTorch eager float32. */
  agreement: ({ name: string; adapter: string } & Agreement)[];
  /** The settings each mode of PyTorch was tried with; the fastest is what its rows use. */
  tried: Tried[];
  /** Milliseconds an image; GFLOP/s in the table of the matrix product. */
  rows: MeasuredRow[];
  /** Floating-point operations of the matrix products left in idat's compiled step, by adapter. */
  flopsPerImage: Record<string, number>;
  memory: { name: string; peakBytes: number }[];
  /** A training run with batches of 32 of each variant of idat. */
  watched: Record<string, WatchedRun>;
  /** Seconds of each epoch. */
  linearProbing: number[] | null;
  secondsToFirstStep: number[] | null;
  /** What could not be measured, and why. */
  failures: { name: string; reason: string }[];
}
