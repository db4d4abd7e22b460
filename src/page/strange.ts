/** Whether a picture is of none of the classes, as far as that can be told. */
import type { Seen } from './run-protocol.js';

/** Share of the pictures set aside that may be stranger. */
const STRANGER = 0.05;
/** Fewer tell nothing. */
const LEAST = 5;

/** Less familiar than nearly all the pictures that were set aside, which the model had not seen either. */
export function isStrange({ familiarity }: Seen, aside: ReadonlyMap<string, Seen>): boolean {
  if (aside.size < LEAST) return false;
  const sorted = Float64Array.from(aside.values(), (seen) => seen.familiarity).sort();
  return familiarity < sorted[Math.floor(STRANGER * sorted.length)]!;
}
