/** Accuracies in words, none without what the number of images leaves open. */
import { printable } from '../errors.js';
import type { ClassCount } from '../settings/record.js';
import { wilson } from '../statistics/index.js';

/** A share of images that are known to be right or wrong. */
interface Counted {
  readonly correct: number;
  readonly total: number;
}

/** Wider than this, an interval says more than the number it is around. */
const WIDE = 0.2;
/** And wider than this, the number says next to nothing. */
const HOPELESS = 0.4;
/** More names than this are no help. */
const NAMED = 5;

const points = (share: number): string => (100 * share).toFixed(1);

/** `80.2 % (78.1–82.2)`, for tables and lines that are told elsewhere how they are to be read. */
export function shortAccuracy({ correct, total }: Counted): string {
  const { low, high } = wilson(correct, total);
  return `${points(correct / total)} % (${points(low)}–${points(high)})`;
}

/** How `shortAccuracy` is to be read. */
export const IN_BRACKETS = 'In brackets: the 95 % interval (Wilson) that this number of images leaves.';

/**
 * An accuracy in full, such as `80.2 % (95 % interval 78.1–82.2), 1203 of 1500 test images`; of few images a sentence:
 * `20.0 %, 1 of 5 images: between 4 and 62 %, so nearly nothing is known`.
 * @param images what they are called, and what else is to be said of them
 */
export function fullAccuracy({ correct, total }: Counted, images = 'images'): string {
  const { low, high } = wilson(correct, total);
  const share = `${points(correct / total)} %`;
  const counts = `${correct} of ${total} ${images}`;
  if (high - low <= WIDE) return `${share} (95 % interval ${points(low)}–${points(high)}), ${counts}`;
  const known = high - low > HOPELESS ? 'so nearly nothing is known' : 'so it is known only roughly';
  return `${share}, ${counts}: between ${(100 * low).toFixed(0)} and ${(100 * high).toFixed(0)} %, ${known}`;
}

/**
 * The classes that are clearly harder than the whole, the worst first: their intervals end below the accuracy of all.
 * Null where there is none, or nobody counted.
 * @param names of the classes, by anybody
 */
export function worstClasses(
  all: Counted & { readonly byClass?: readonly ClassCount[] | undefined },
  names: readonly string[],
): string | null {
  const share = all.correct / all.total;
  const worst = (all.byClass ?? [])
    .map((count, i) => ({ ...count, name: names[i] ?? `class ${i}` }))
    .filter(({ correct, total }) => total > 0 && wilson(correct, total).high < share)
    .sort((a, b) => a.correct / a.total - b.correct / b.total || b.total - a.total)
    .slice(0, NAMED);
  if (worst.length === 0) return null;
  return worst.map(({ name, correct, total }) => `${printable(name)} ${correct} of ${total}`).join(', ');
}
