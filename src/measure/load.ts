/** How busy the machine is beside this process, and whether what was timed can be trusted. */
import { median } from '../statistics/index.js';

/** CPU time used until a moment, in milliseconds. */
export interface LoadReading {
  /** The moment, by a clock of its own. */
  readonly wallMs: number;
  /** By this process, over all its threads. */
  readonly ownMs: number;
  /** By all programs, on the cores this process may run on; null where nobody knows. */
  readonly allMs: number | null;
}

/** Cores of the machine. */
export interface Cores {
  /** This process may keep so many busy: a container may have a share of what it sees. */
  readonly usable: number;
  /** It may run on so many, other programs as well. */
  readonly visible: number;
}

/** Calls that should all have taken the same time, and the load before and after them. */
export interface TimedCalls {
  readonly times: readonly number[];
  readonly before: LoadReading;
  readonly after: LoadReading;
}

/** Of a core: what a machine at rest does besides. */
const REST = 0.25;
/** Median against shortest. Caches, clocks and collections of garbage make about a tenth. */
const SPREAD = 1.3;
/** While a program runs, one thread at least is busy; of a core to itself it would get nearly all. */
const STARVED = 0.7;

/** Cores that other programs kept busy, on the mean; null where nobody knows. */
export function coresElsewhere(before: LoadReading, after: LoadReading): number | null {
  const wallMs = after.wallMs - before.wallMs;
  if (before.allMs === null || after.allMs === null || !(wallMs > 0)) return null;
  return Math.max(0, after.allMs - before.allMs - (after.ownMs - before.ownMs)) / wallMs;
}

/** Cores of those this process may use that other programs leave it, from 1; all of them where nobody knows. */
export function freeCores(before: LoadReading, after: LoadReading, { usable, visible }: Cores): number {
  const free = Math.round(visible - (coresElsewhere(before, after) ?? 0));
  return Math.max(1, Math.min(usable, free));
}

/**
 * Why times are not this machine's, in words; null where they may be trusted.
 * @param onCpu whether the calls were computed by this process's threads
 */
export function disturbance(calls: readonly TimedCalls[], { usable, visible }: Cores, onCpu: boolean): string | null {
  const sum = (of: (call: TimedCalls) => number) => calls.reduce((total, call) => total + of(call), 0);
  const wall = sum(({ before, after }) => after.wallMs - before.wallMs);
  if (!(wall > 0)) return null;
  const elsewhere =
    sum(({ before, after }) => (coresElsewhere(before, after) ?? 0) * (after.wallMs - before.wallMs)) / wall;
  if (visible - elsewhere < usable - REST) {
    return `other programs kept ${elsewhere.toFixed(1)} of ${visible} cores busy`;
  }
  const own = sum(({ before, after }) => after.ownMs - before.ownMs) / wall;
  if (onCpu && own < STARVED) return `it got ${own.toFixed(2)} of a core`;
  const spreads = calls
    .filter(({ times }) => times.length >= 3)
    .map(({ times }) => median(times) / Math.min(...times))
    .filter(Number.isFinite);
  const spread = spreads.length > 0 ? median(spreads) : 1;
  return spread > SPREAD ? `equal calls took ${spread.toFixed(1)} times the shortest` : null;
}
