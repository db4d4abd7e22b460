/**
 * Splits of images that are sorted by class: those a data set has, and those idat makes where it has none.
 */
import { IdatError } from '../errors.js';
import type { ImageItem, Layout, Splits } from './dataset.js';
import { stratifiedSplit } from './stratified-split.js';

export interface SplitOptions {
  seed: number;
  /** Share of what is left beside the test images that validates; default 0.2. */
  valFraction?: number;
  /** Share of all images that tests, where the data set has no test images of its own; default 0.2. */
  testFraction?: number;
}

export type ByClass = Map<string, ImageItem[]>;

/** The images of a data set by split; null where it has no such split. Labels are those of the classes' order. */
export interface GivenSplits {
  readonly train: ByClass;
  readonly val: ByClass | null;
  readonly test: ByClass | null;
}

/**
 * All splits of a data set: what is missing is set aside from train, test before val, by class.
 *
 * @param source what errors call the data set
 * @param classes in the order of the labels
 * @throws IdatError `data.split.small`, `data.split.fraction`
 */
export function completeSplits(
  source: string,
  classes: readonly string[],
  given: GivenSplits,
  { seed, valFraction = 0.2, testFraction = 0.2 }: SplitOptions,
): Pick<Layout, 'note'> & Splits {
  const forTest = given.test ? null : stratifiedSplit(given.train, testFraction, seed, 'test');
  const rest = forTest?.kept ?? given.train;
  const forVal = given.val ? null : stratifiedSplit(rest, valFraction, seed, 'val');
  const listed = (byClass: ByClass) => classes.flatMap((name) => byClass.get(name) ?? []);
  const train = listed(forVal?.kept ?? rest);
  const val = listed(given.val ?? forVal!.taken);
  const test = listed(given.test ?? forTest!.taken);
  requireImages(source, 'val', val, given.val !== null || valFraction > 0);
  requireImages(source, 'test', test, given.test !== null || testFraction > 0);
  const made = (parts: string) => `seed ${seed}, stratified by class, ${parts}`;
  const origin = originOf(given, made, percent(valFraction), percent(testFraction));
  const counts = `${train.length} train, ${val.length} val, ${test.length} test`;
  return { train, val, trainval: [...train, ...val], test, note: `${origin}: ${counts}.` };
}

/** Where the splits came from. @param made how idat makes some */
function originOf({ val, test }: GivenSplits, made: (parts: string) => string, valShare: string, testShare: string) {
  if (val && test) return 'Splits as the data set has them';
  if (test) return `test as the data set has it, val split from train by idat (${made(valShare)})`;
  if (val) return `val as the data set has it, test split from train by idat (${made(testShare)})`;
  return `The data set has no splits; idat made them (${made(`${testShare} test, ${valShare} of the rest val`)})`;
}

function requireImages(source: string, split: 'val' | 'test', items: readonly ImageItem[], wanted: boolean): void {
  if (!wanted || items.length > 0) return;
  throw new IdatError(
    'data.split.small',
    `${source}: too few images to set some aside for ${split}; a class needs three or more`,
  );
}

const percent = (fraction: number) => `${Math.round(fraction * 1000) / 10} %`;
