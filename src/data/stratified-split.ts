/**
 * A random split that keeps the classes' shares.
 */
import { IdatError } from '../errors.js';
import { randomStream } from '../random.js';

/**
 * Takes `fraction` of each class away, at least one image of a class of two or more, never a class's last.
 * What is taken depends on the seed, the classes' names and the items' order within their class, not on other classes.
 *
 * @param byClass items of each class, in an order that does not depend on the disk
 * @param purpose keeps two splits of one seed apart, e.g. `test` and `val`
 * @returns both parts in the order of the input
 * @throws IdatError `data.split.fraction` unless 0 ≤ fraction < 1
 */
export function stratifiedSplit<T>(
  byClass: ReadonlyMap<string, readonly T[]>,
  fraction: number,
  seed: number,
  purpose: string,
): { kept: Map<string, T[]>; taken: Map<string, T[]> } {
  if (!(fraction >= 0 && fraction < 1)) {
    throw new IdatError(
      'data.split.fraction',
      `${purpose} fraction: expected a number from 0 to below 1, got ${fraction}`,
    );
  }
  const kept = new Map<string, T[]>();
  const taken = new Map<string, T[]>();
  for (const [className, items] of byClass) {
    const wanted = Math.max(Math.round(items.length * fraction), fraction > 0 ? 1 : 0);
    const count = Math.min(wanted, items.length - 1);
    const order = randomStream(seed, 'split', className, purpose).shuffled(items.map((_, index) => index));
    const chosen = new Set(order.slice(0, count));
    kept.set(
      className,
      items.filter((_, index) => !chosen.has(index)),
    );
    taken.set(
      className,
      items.filter((_, index) => chosen.has(index)),
    );
  }
  return { kept, taken };
}
