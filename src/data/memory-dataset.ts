/**
 * A data set that a program holds in memory: lists of images with their labels. What an image may be is up to who opens it.
 */
import { IdatError, nearest } from '../errors.js';
import { type ByClass, completeSplits, noteOf, type SplitOptions, type SplitWords } from './complete-splits.js';
import type { ImageItem, Layout } from './dataset.js';

export interface LabelledImage<Image> {
  readonly image: Image;
  /** The class's name, or its index among `classes`. */
  readonly label: string | number;
}

/** Images to test on. */
export interface TestLists<Image> {
  /** What run directories and tables call it; default: memory. */
  readonly name?: string | undefined;
  /** The class of label i is `classes[i]`. */
  readonly classes: readonly string[];
  readonly test: readonly LabelledImage<Image>[];
}

/** Images to train on. Where val or test is left out, idat sets some of train aside, as it does for a folder. */
export interface ImageLists<Image> extends Omit<TestLists<Image>, 'test'> {
  readonly train: readonly LabelledImage<Image>[];
  readonly val?: readonly LabelledImage<Image>[] | undefined;
  readonly test?: readonly LabelledImage<Image>[] | undefined;
}

/**
 * Makes an image readable, and gives it a name for messages; or says what is wrong with what is no image at all.
 * @param at where it stands, such as `train[3]`
 */
export type OpenImage<Image> = (image: Image, at: string) => Pick<ImageItem, 'name' | 'read'> | { problem: string };

/** What messages call a data set in memory. */
export const sourceOfLists = ({ name }: { readonly name?: string | undefined }): string =>
  name === undefined ? '(memory)' : `${name} (memory)`;

/**
 * Sorts lists into splits. The fingerprint of a split is that of its labels and its images' content, wherever they lie.
 *
 * @throws IdatError with the place as its issue: `data.lists` for what has not this form, `data.name`,
 *   `data.classes.empty`, `data.classes.twice`, `data.one-class`, `data.empty`, `data.label` (neither name nor index),
 *   `data.label.unknown`, `data.label.range`, `data.image` (no image at all), `data.class.empty`; `data.split.small`
 */
export function readImageLists<Image>(lists: ImageLists<Image>, open: OpenImage<Image>, options: SplitOptions): Layout {
  const checked = checkedLists(lists);
  const { classes } = checked;
  const sorted = (split: ListName) => byClass(classes, readList(checked, split, lists[split], open));
  const train = sorted('train');
  const empty = classes.findIndex((name) => train.get(name)!.length === 0);
  if (empty !== -1) {
    const what = `train has no image of the class ${classes[empty]}; add some or leave the class out`;
    throw checked.wrong('data.class.empty', ['classes', empty], what);
  }
  const given = (split: ListName) => (lists[split] === undefined ? null : sorted(split));
  const parts = { train, val: given('val'), test: given('test') };
  const { origin, ...splits } = completeSplits(checked.source, classes, parts, WORDS, options);
  return { kind: 'memory', classes: [...classes], ...splits, note: noteOf(origin, splits) };
}

/** The same where only test images are wanted; all others are none. @throws IdatError as `readImageLists` */
export function readTestLists<Image>(lists: TestLists<Image>, open: OpenImage<Image>): Layout {
  const checked = checkedLists(lists);
  const test = readList(checked, 'test', lists.test, open);
  const note = `Images of a program: ${test.length} test.`;
  return { kind: 'memory', classes: [...checked.classes], train: [], val: [], trainval: [], test, note };
}

const WORDS: SplitWords = { train: 'train', val: 'val', test: 'test', all: 'Splits as the data set has them' };

type ListName = 'train' | 'val' | 'test';

interface CheckedLists {
  readonly source: string;
  readonly classes: readonly string[];
  /** @param path below `data` */
  wrong(code: string, path: readonly (string | number)[], message: string): IdatError;
}

function checkedLists(lists: Pick<TestLists<unknown>, 'name' | 'classes'>): CheckedLists {
  const { name, classes } = lists;
  const source = sourceOfLists(lists);
  const wrong: CheckedLists['wrong'] = (code, path, message) => {
    const issue = { path: ['data', ...path], code: code.replace(/^data\./, ''), message };
    return new IdatError(code, `${source}: ${message}`, { issues: [issue] });
  };
  if (name !== undefined && (typeof name !== 'string' || !/^[^/\\\p{Cc}]+$/u.test(name) || /^\.*$/.test(name))) {
    throw wrong('data.name', ['name'], 'expected a name that a folder may have, without / and \\');
  }
  if (!Array.isArray(classes)) {
    throw wrong('data.lists', ['classes'], 'expected { classes: names, train: [{ image, label }, …] }, got no classes');
  }
  const unnamed = classes.findIndex((one) => typeof one !== 'string' || one === '');
  if (unnamed !== -1) throw wrong('data.classes.empty', ['classes', unnamed], `classes[${unnamed}] is no name`);
  if (classes.length === 0) throw wrong('data.classes.empty', ['classes'], 'there are no classes; name two or more');
  const twice = classes.findIndex((one, i) => classes.indexOf(one) < i);
  if (twice !== -1) throw wrong('data.classes.twice', ['classes', twice], `there are two classes ${classes[twice]}`);
  if (classes.length === 1) {
    const what = `there is one class only (${classes[0]}); there is nothing to tell apart, name a further one`;
    throw wrong('data.one-class', ['classes'], what);
  }
  return { source, classes, wrong };
}

/** The items of a list, in its order. */
function readList<Image>(
  { classes, wrong }: CheckedLists,
  split: ListName,
  list: readonly LabelledImage<Image>[] | undefined,
  open: OpenImage<Image>,
): ImageItem[] {
  if (!Array.isArray(list)) throw wrong('data.lists', [split], `expected ${split}: [{ image, label }, …], got none`);
  if (list.length === 0) {
    const advice = split === 'train' ? 'add some' : 'add some, or leave it out and idat sets some of train aside';
    throw wrong('data.empty', [split], `${split} has no images; ${advice}`);
  }
  const labels = new Map(classes.map((name, label) => [name, label]));
  const labelOf = (label: unknown, i: number): number => {
    const refused = (code: string, what: string) => wrong(code, [split, i, 'label'], `${split}[${i}]: ${what}`);
    if (typeof label === 'string') {
      const known = labels.get(label);
      if (known !== undefined) return known;
      const near = nearest(label, classes, 2).join(' or ');
      throw refused('data.label.unknown', `there is no class ${JSON.stringify(label)}; did you mean ${near}?`);
    }
    if (typeof label !== 'number') {
      throw refused('data.label', `expected the name of a class or its index as label, got ${label}`);
    }
    if (Number.isInteger(label) && label >= 0 && label < classes.length) return label;
    throw refused('data.label.range', `expected a label from 0 to ${classes.length - 1}, got ${label}`);
  };
  return list.map((entry: Partial<LabelledImage<Image>> | null | undefined, i) => {
    const { image, label } = entry ?? {};
    const at = `${split}[${i}]`;
    const opened = open(image as Image, at);
    if ('problem' in opened) throw wrong('data.image', [split, i, 'image'], `${at}: ${opened.problem}`);
    return { ...opened, key: at, label: labelOf(label, i) };
  });
}

function byClass(classes: readonly string[], items: readonly ImageItem[]): ByClass {
  const sorted = new Map<string, ImageItem[]>(classes.map((name) => [name, []]));
  for (const item of items) sorted.get(classes[item.label]!)!.push(item);
  return sorted;
}
