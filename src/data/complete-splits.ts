/** From the splits a data set has to those a run needs: what is missing is set aside from training. */
import { IdatError } from '../errors.js';
import type { ImageItem, Splits } from './dataset.js';
import { stratifiedSplit } from './stratified-split.js';

export interface SplitOptions {
  seed: number;
  /** Share of what is left beside the test images that validates; default 0.2. */
  valFraction?: number;
  /** Share of all images that tests, where the data set has no test folder; default 0.2. */
  testFraction?: number;
  /** Told of a line of a list that is wrong, which is then passed over; without it, the first such line is thrown. */
  onProblem?: (problem: IdatError) => void;
}

export type ByClass = ReadonlyMap<string, readonly ImageItem[]>;

/** What a data set gives; null for what it has not. */
export interface GivenSplits {
  train: ByClass;
  val: ByClass | null;
  test: ByClass | null;
}

/** What the note calls the parts, such as `train/` or `train.csv`, and how all three together. */
export interface SplitWords {
  train: string;
  val: string;
  test: string;
  all: string;
}

export interface CompleteSplits extends Splits {
  /** Where the splits came from, for the note. */
  origin: string;
}

/**
 * Without test images, those to validate on are measured on; without either, both are set aside from training.
 *
 * @param source for messages
 * @param classes labels are positions in it
 * @throws IdatError `data.split.small` when a class has too few images, `data.split.fraction`
 */
export function completeSplits(
  source: string,
  classes: readonly string[],
  given: GivenSplits,
  words: SplitWords,
  { seed, valFraction = 0.2, testFraction = 0.2 }: SplitOptions,
): CompleteSplits {
  const made = `val split from ${words.train} by idat (seed ${seed}, stratified by class, ${percent(valFraction)})`;
  const finish = (origin: string, train: ByClass, val: ByClass, test: ByClass): CompleteSplits => {
    // Labels are those of all classes: a split that lacks a class must not shift the ones after it.
    const flat = (byClass: ByClass) =>
      classes.flatMap((className, label) => (byClass.get(className) ?? []).map((item) => ({ ...item, label })));
    const [trainItems, valItems] = [flat(train), flat(val)];
    const splits = { train: trainItems, val: valItems, trainval: [...trainItems, ...valItems], test: flat(test) };
    requireImages(source, splits, { val: given.val !== null || valFraction > 0, test: testFraction > 0 });
    return { ...splits, origin };
  };
  const { train, val, test } = given;
  if (test && val) return finish(words.all, train, val, test);
  if (test || val) {
    const { kept, taken } = stratifiedSplit(train, valFraction, seed, 'val');
    const origin = test
      ? `${words.test} as the data set has it, ${made}`
      : `${words.val} is what is measured on (test), for want of a ${words.test} with classes; ${made}`;
    return finish(origin, kept, taken, (test ?? val)!);
  }
  const first = stratifiedSplit(train, testFraction, seed, 'test');
  const second = stratifiedSplit(first.kept, valFraction, seed, 'val');
  const how = `seed ${seed}, stratified by class, ${percent(testFraction)} test, ${percent(valFraction)} of the rest val`;
  return finish(`The data set has no splits; idat made them (${how})`, second.kept, second.taken, first.taken);
}

function requireImages(source: string, layout: Splits, wanted: { val: boolean; test: boolean }): void {
  for (const split of ['val', 'test'] as const) {
    if (wanted[split] && layout[split].length === 0) {
      throw new IdatError(
        'data.split.small',
        `${source}: too few images to set some aside for ${split}; a class needs three or more`,
      );
    }
  }
}

const percent = (fraction: number) => `${Math.round(fraction * 1000) / 10} %`;

/** @throws IdatError `data.one-class` */
export function requireClasses(source: string, classes: readonly string[], advice: string): void {
  if (classes.length >= 2) return;
  const found = classes.length === 0 ? 'no class' : `one class only (${classes[0]})`;
  throw new IdatError('data.one-class', `${source}: found ${found}; there is nothing to tell apart, ${advice}`);
}

/** The note: where the splits came from, how many images each has, and what else is to be said. */
export function noteOf(origin: string, { train, val, test }: Splits, ...more: string[]): string {
  const counts = `${train.length} train, ${val.length} val, ${test.length} test`;
  return [`${origin}: ${counts}.`, ...more].filter((part) => part !== '').join(' ');
}
