/**
 * Looks for the fastest way to work through a batch: so many images a call of the runtime, on so many threads, and so
 * many calls at a time.
 */

/** How a batch is worked through. */
export interface Call {
  /** Images in one call. */
  readonly microBatch: number;
  readonly threads: number;
  /** Copies of the program, each of which works on a call of its own at the same time. */
  readonly replicas: number;
}

/** A call that was timed. */
export interface Reading extends Call {
  /** Of a batch, padding included. */
  readonly msPerImage: number;
}

export interface Search {
  /** Images in a batch. */
  readonly batchSize: number;
  /** Where to begin. */
  readonly first: Call;
  /** Other threads and replicas worth a try. */
  readonly others: readonly Omit<Call, 'microBatch'>[];
  /** Bounds of the micro-batch; equal where it is given. */
  readonly smallest: number;
  readonly largest: number;
  /** Milliseconds of one call, beside as many others as there are replicas; need not be exact beyond `hopelessMs`. */
  measure(call: Call, hopelessMs: number): Promise<number>;
  /** Asked before each candidate but the first. */
  outOfTime(): boolean;
}

/** What differs by less than this is taken for equal. */
const NOISE = 0.03;
/** Replicas hold the weights once more each, and have to be faster by this. */
const WORTH_A_REPLICA = 0.1;
/** What is slower by more than this after one call is not called again. */
const HOPELESS = 0.3;

/**
 * Doubles the first micro-batch while that clearly helps, or else halves it while that does not clearly harm; then tries
 * the other threads and replicas. Of what is equally fast within the noise, the smallest call is taken: it needs the least memory.
 *
 * @returns what was measured, in that order, and the choice among it
 */
export async function searchCall(search: Search): Promise<{ best: Reading; readings: Reading[] }> {
  const { batchSize, first, others, smallest, largest } = search;
  const readings: Reading[] = [];
  /** Whether the candidate is no slower, within noise, than the fastest so far; null when there was no time for it. */
  const tryCall = async (call: Call): Promise<{ faster: boolean; slower: boolean } | null> => {
    if (readings.length > 0 && search.outOfTime()) return null;
    const fastest = Math.min(...readings.map(({ msPerImage }) => msPerImage));
    const calls = Math.ceil(batchSize / call.microBatch / call.replicas);
    const hopelessMs = ((1 + HOPELESS) * fastest * batchSize) / calls;
    const msPerImage = (calls * (await search.measure(call, hopelessMs))) / batchSize;
    readings.push({ ...call, msPerImage });
    return { faster: msPerImage < fastest * (1 - NOISE), slower: msPerImage > fastest * (1 + NOISE) };
  };

  await tryCall(first);
  let larger = 2 * first.microBatch;
  while (larger <= largest && (await tryCall({ ...first, microBatch: larger }))?.faster) larger *= 2;
  if (larger <= 2 * first.microBatch) {
    let smaller = Math.floor(first.microBatch / 2);
    while (smaller >= smallest && (await tryCall({ ...first, microBatch: smaller }))?.slower === false) {
      smaller = Math.floor(smaller / 2);
    }
  }
  const { microBatch } = choose(readings);
  for (const other of others) {
    const divided = Math.ceil(batchSize / other.replicas); // so that each replica has a call
    await tryCall({ ...other, microBatch: Math.min(microBatch, Math.max(smallest, divided)) });
  }
  return { best: choose(readings), readings };
}

/**
 * The smallest call, and of those the one with the fewest threads, that is as fast as the fastest within the noise; of
 * those with few replicas, unless more are clearly faster.
 */
export function choose(readings: readonly Reading[]): Reading {
  const best = Math.min(...readings.map(({ msPerImage }) => msPerImage));
  const replicas = Math.min(
    ...readings
      .filter(({ msPerImage }) => msPerImage * (1 - WORTH_A_REPLICA) <= best)
      .map((reading) => reading.replicas),
  );
  const allowed = readings.filter((reading) => reading.replicas <= replicas);
  const fastest = Math.min(...allowed.map(({ msPerImage }) => msPerImage));
  const equal = allowed.filter(({ msPerImage }) => msPerImage <= fastest * (1 + NOISE));
  return equal.sort((a, b) => a.microBatch - b.microBatch || a.threads - b.threads)[0]!;
}
