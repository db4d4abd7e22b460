/** Timing several things side by side. */
import { type Spread, spread } from '../statistics/index.js';

/** A reading repeats what is shorter until it has taken so long. */
const SHORTEST_READING_MS = 200;

/**
 * Times things in turn, one reading of each and then the next of each, so that what else the machine does falls on all.
 *
 * @param subjects each runs once when called
 * @returns milliseconds of one run of each
 */
export async function timeInTurn(
  subjects: readonly (() => Promise<unknown>)[],
  readings: number,
  onReading?: (done: number, total: number) => void,
): Promise<Spread[]> {
  for (const run of subjects) await run(); // the first run sets up the runtime's memory
  const times: number[][] = subjects.map(() => []);
  for (let reading = 0; reading < readings; reading++) {
    for (const [i, run] of subjects.entries()) {
      times[i]!.push(await timeOnce(run));
      onReading?.(reading * subjects.length + i + 1, readings * subjects.length);
    }
  }
  return times.map(spread);
}

async function timeOnce(run: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  for (let runs = 1; ; runs++) {
    await run();
    const elapsed = performance.now() - started;
    if (elapsed >= SHORTEST_READING_MS) return elapsed / runs;
  }
}
