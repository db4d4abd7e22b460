/** Timing several things side by side. */
export interface Spread {
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
}

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
  return times.map((values) => ({
    median: median(values),
    lowest: Math.min(...values),
    highest: Math.max(...values),
  }));
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

async function timeOnce(run: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  for (let runs = 1; ; runs++) {
    await run();
    const elapsed = performance.now() - started;
    if (elapsed >= SHORTEST_READING_MS) return elapsed / runs;
  }
}
