/**
 * The layout of VTAB-1K, four lists beside the images, as the published copies have it; and the same with lists of plain
 * names, `train.txt`, `test.txt` and perhaps `val.txt`, as larger data sets come.
 *
 * @see Zhai et al. 2019, arXiv:1910.04867; the lists are those of the NOAH export script
 */
import { IdatError } from '../errors.js';
import type { SplitOptions } from './complete-splits.js';
import type { ImageItem, Layout } from './dataset.js';
import { decodeText, type FileTree, hasClassFolders, MAX_IMAGE_BYTES, MAX_LIST_BYTES, REASONS } from './file-tree.js';
import { elsewhere } from './left-out.js';
import { type ListedImage, parseSplitList, passingOver } from './split-list.js';
import { stratifiedSplit } from './stratified-split.js';

/** The lists of a data set by their file names. */
type Lists = Record<'train' | 'val' | 'trainval' | 'test', string>;

const VTAB_LISTS: Lists = {
  train: 'train800.txt',
  val: 'val200.txt',
  trainval: 'train800val200.txt',
  test: 'test.txt',
};

const PLAIN_LISTS: Lists = { train: 'train.txt', val: 'val.txt', trainval: 'trainval.txt', test: 'test.txt' };

/** What this layout is called when its lists are named. */
export const LIST_NAMES: readonly string[] = [
  ...new Set([VTAB_LISTS, PLAIN_LISTS].flatMap((lists) => Object.values(lists))),
];

/** Whether one of the lists' names is among these paths, whatever folder it lies in. */
export const hasLists = (paths: readonly string[]): boolean =>
  paths.some((path) => LIST_NAMES.includes(path.split('/').at(-1)!));

/**
 * Whether lists say what is what. One list alone beside class folders is a stray file, and so is a `test.txt` without
 * training lists.
 */
export function isVtab(tree: FileTree): boolean {
  const has = (list: string) => tree.files.has(list);
  if (has(VTAB_LISTS.train) || has(VTAB_LISTS.val) || has(VTAB_LISTS.trainval)) return true;
  return has(PLAIN_LISTS.train) && (has(PLAIN_LISTS.test) || has(PLAIN_LISTS.val) || !hasClassFolders(tree));
}

/**
 * Without classes.txt the classes are called after their labels and there are as many as the largest label says; without
 * train800val200.txt, trainval is train followed by val. Where there are train.txt and test.txt instead and no val.txt, a
 * part of train is set aside to validate, as for folders; where there is val.txt and no test.txt, val.txt is measured on.
 *
 * @throws IdatError `data.list.*` naming list and line, `data.one-class`
 */
export async function readVtab(tree: FileTree, options: SplitOptions): Promise<Layout> {
  const plain = tree.files.has(PLAIN_LISTS.train) && !tree.files.has(VTAB_LISTS.train);
  const lists = plain ? PLAIN_LISTS : VTAB_LISTS;
  const named = tree.files.has('classes.txt') ? parseClasses(await readText(tree, 'classes.txt'), tree) : null;
  const list = async (name: string): Promise<ListedImage[]> => {
    if (!tree.files.has(name)) throw missingList(tree, name, plain);
    const { onProblem } = options;
    const about = { classCount: named?.length ?? null, roots: tree.roots, onProblem };
    const images = parseSplitList(await readText(tree, name), `${tree.source}/${name}`, about);
    return images.flatMap((image) => passingOver(onProblem, () => found(tree, name, image)) ?? []);
  };
  const listed = await list(lists.train);
  const valIsTest = plain && !tree.files.has(lists.test) && tree.files.has(lists.val);
  const makesVal = plain && (valIsTest || !tree.files.has(lists.val));
  const { train, val } = makesVal ? setAside(listed, options) : { train: listed, val: await list(lists.val) };
  const test = await list(valIsTest ? lists.val : lists.test);
  const hasTrainval = tree.files.has(lists.trainval) && !makesVal;
  const trainval = hasTrainval ? await list(lists.trainval) : [...train, ...val];

  const classes = named ?? numbered([train, val, trainval, test]);
  if (classes.length < 2 || new Set(trainval.map(({ label }) => label)).size < 2) {
    throw new IdatError(
      'data.one-class',
      `${tree.source}: all training images are of one class; there is nothing to tell apart`,
    );
  }
  const items = (images: ListedImage[]) => images.map((image) => toItem(tree, image));
  const made = `val split from train by idat (seed ${options.seed})`;
  const origin = valIsTest
    ? `val.txt is what is measured on (test), for want of a test.txt; ${made}`
    : makesVal
      ? `Lists as the data set has them, ${made}`
      : 'Splits as listed by the data set';
  const counts = `${train.length} train, ${val.length} val, ${test.length} test`;
  return {
    kind: 'vtab',
    classes,
    train: items(train),
    val: items(val),
    trainval: items(trainval),
    test: items(test),
    note: [`${origin}: ${counts}.`, elsewhere(tree)].filter((part) => part !== '').join(' '),
  };
}

function missingList(tree: FileTree, name: string, plain: boolean): IdatError {
  const passed = tree.passedOver.get(name);
  if (passed !== undefined) return new IdatError('data.list.passed-over', `${tree.source}/${name} ${REASONS[passed]}`);
  const needed = plain
    ? `${PLAIN_LISTS.train} needs ${PLAIN_LISTS.test} or ${PLAIN_LISTS.val} beside it`
    : `VTAB data need ${VTAB_LISTS.train}, ${VTAB_LISTS.val} and ${VTAB_LISTS.test}`;
  return new IdatError('data.list.missing', `${tree.source}: no ${name}; ${needed}`);
}

/** A share of the training images of each class, to validate on. */
function setAside(
  images: readonly ListedImage[],
  { seed, valFraction = 0.2 }: SplitOptions,
): { train: ListedImage[]; val: ListedImage[] } {
  const byClass = new Map<string, ListedImage[]>();
  for (const image of images) {
    const own = byClass.get(`${image.label}`);
    if (own) own.push(image);
    else byClass.set(`${image.label}`, [image]);
  }
  const { kept, taken } = stratifiedSplit(byClass, valFraction, seed, 'val');
  return { train: [...kept.values()].flat(), val: [...taken.values()].flat() };
}

async function readText(tree: FileTree, name: string): Promise<string> {
  return decodeText(await tree.read(name, MAX_LIST_BYTES), `${tree.source}/${name}`);
}

function parseClasses(text: string, tree: FileTree): string[] {
  const lines = text.trimEnd().split('\n');
  return lines.map((line, index) => {
    const name = line.trim().normalize('NFC');
    if (name === '') {
      throw new IdatError(
        'data.classes.empty',
        `${tree.source}/classes.txt:${index + 1}: expected a class name, got an empty line`,
      );
    }
    return name;
  });
}

/** The image as the tree has it: an é is written in two ways, and a list may know the other one. */
function found(tree: FileTree, list: string, image: ListedImage): ListedImage {
  const path = [image.path, image.path.normalize('NFC')].find((one) => tree.files.has(one));
  if (path !== undefined) return { ...image, path };
  const where = `${tree.source}/${list}:${image.line}`;
  // A folder on the way may be what is passed over, so every beginning of the path is looked up.
  const steps = image.path.split('/').map((_, i, names) => names.slice(0, i + 1).join('/'));
  const passed = steps.find((step) => tree.passedOver.has(step));
  if (passed !== undefined) {
    throw new IdatError('data.list.passed-over', `${where}: ${passed} ${REASONS[tree.passedOver.get(passed)!]}`);
  }
  throw new IdatError(
    'data.list.missing-image',
    `${where}: there is no file ${JSON.stringify(image.path)}; fetch the data set again or remove the line`,
  );
}

function numbered(lists: ListedImage[][]): string[] {
  const largest = lists.flat().reduce((max, { label }) => Math.max(max, label), 0);
  return Array.from({ length: largest + 1 }, (_, label) => String(label));
}

function toItem(tree: FileTree, { path, label }: ListedImage): ImageItem {
  return { name: path, label, read: () => tree.read(path, MAX_IMAGE_BYTES) };
}
