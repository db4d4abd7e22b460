/** How long a run that somebody else makes may still take: from the epochs it has behind it. */
import type { EpochTiming } from '../settings/record.js';
import { median } from '../statistics/index.js';
import type { ListedRun } from './list-runs.js';

/** The last so many epochs tell the pace. */
const LAST = 5;

/**
 * Seconds of training that are left in the phase it is in; null where no epoch has ended.
 * @param sinceMs time since the last epoch ended
 */
export function secondsLeft(
  progress: ListedRun['progress'],
  timings: readonly EpochTiming[],
  sinceMs = 0,
): number | null {
  if (progress === null) return null;
  const own = timings.filter(({ phase }) => phase === progress.phase).slice(-LAST);
  if (own.length === 0) return null;
  const epoch = median(own.map(({ seconds }) => seconds));
  const left = Math.max(0, progress.of - progress.epochs);
  return Math.max(0, left * epoch - Math.min(sinceMs / 1000, epoch));
}
