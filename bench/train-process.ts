/**
 * A real training run in a process of its own, watched: `fineTune` from images to accuracy. Prints one JSON object.
 *
 *     node --import ./time-runs.js train-process.js '{"data": …, "student": …}'
 */
import type { FineTuneInput } from '../src/index.js';
import { startRunClock } from './run-clock.js';

export interface WatchedRun {
  /** Of each epoch, saving included. */
  epochSeconds: number[];
  /** From the end of one step to the end of the next within an epoch, and how much of it ONNX Runtime worked. */
  steps: { seconds: number; runSeconds: number }[];
  /** Of the whole process, worker threads included. */
  peakBytes: number;
}

// the built package, as users run it
const library = new URL('../../../dist/index.js', import.meta.url).href;
const { fineTune } = (await import(library)) as typeof import('../src/index.js');

const input = JSON.parse(process.argv[2]!) as FineTuneInput;
const takeRunMs = startRunClock();
const watched: WatchedRun = { epochSeconds: [], steps: [], peakBytes: 0 };
let stepEnded: number | null = null; // null: none in this epoch yet

await fineTune(input, {
  onProgress: (event) => {
    if (event.kind === 'step') {
      const now = performance.now();
      const runMs = takeRunMs();
      if (stepEnded !== null) watched.steps.push({ seconds: (now - stepEnded) / 1000, runSeconds: runMs / 1000 });
      stepEnded = now;
    } else if (event.kind === 'epoch') {
      watched.epochSeconds.push(event.seconds);
      stepEnded = null;
    }
  },
});
watched.peakBytes = process.resourceUsage().maxRSS * 1024;
process.stdout.write(`${JSON.stringify(watched)}\n`);
