/**
 * The layout of VTAB-1K, four lists beside the images, as the published copies have it; and the same with lists of plain
 * names, `train.txt`, `test.txt` and perhaps `val.txt`, as larger data sets come.
 *
 * @see Zhai et al. 2019, arXiv:1910.04867; the lists are those of the NOAH export script
 */
import { IdatError } from '../errors.js';
import type { ImageItem, Layout } from './dataset.js';
import { type FileTree, MAX_IMAGE_BYTES, MAX_LIST_BYTES, REASONS } from './file-tree.js';
import type { SplitOptions } from './image-folder.js';
import { type ListedImage, parseSplitList } from './split-list.js';
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

export function isVtab(tree: FileTree): boolean {
  return Object.values(VTAB_LISTS).some((list) => tree.files.has(list));
}

/**
 * Without classes.txt the classes are called after their labels and there are as many as the largest label says; without
 * train800val200.txt, trainval is train followed by val. Where there are train.txt and test.txt instead and no val.txt, a
 * part of train is set aside to validate, as for folders.
 *
 * @throws IdatError `data.list.*` naming list and line, `data.one-class`
 */
export async function readVtab(tree: FileTree, options: SplitOptions): Promise<Layout> {
  const plain = tree.files.has(PLAIN_LISTS.train) && !tree.files.has(VTAB_LISTS.train);
  const lists = plain ? PLAIN_LISTS : VTAB_LISTS;
  const named = tree.files.has('classes.txt') ? parseClasses(await readText(tree, 'classes.txt'), tree) : null;
  const list = async (name: string): Promise<ListedImage[]> => {
    if (!tree.files.has(name)) {
      throw new IdatError(
        'data.list.missing',
        `${tree.source}: no ${name}; VTAB data need ${VTAB_LISTS.train}, ${VTAB_LISTS.val} and ${VTAB_LISTS.test}`,
      );
    }
    const images = parseSplitList(await readText(tree, name), `${tree.source}/${name}`, named?.length ?? null);
    for (const image of images) checkPresent(tree, name, image);
    return images;
  };
  const listed = await list(lists.train);
  const makesVal = plain && !tree.files.has(lists.val);
  const { train, val } = makesVal ? setAside(listed, options) : { train: listed, val: await list(lists.val) };
  const test = await list(lists.test);
  const trainval = tree.files.has(lists.trainval) ? await list(lists.trainval) : [...train, ...val];

  const classes = named ?? numbered([train, val, trainval, test]);
  if (classes.length < 2 || new Set(trainval.map(({ label }) => label)).size < 2) {
    throw new IdatError(
      'data.one-class',
      `${tree.source}: all training images are of one class; there is nothing to tell apart`,
    );
  }
  const items = (images: ListedImage[]) => images.map((image) => toItem(tree, image));
  return {
    kind: 'vtab',
    classes,
    train: items(train),
    val: items(val),
    trainval: items(trainval),
    test: items(test),
    note: `${makesVal ? `Lists as the data set has them, val split from train by idat (seed ${options.seed})` : 'Splits as listed by the data set'}: ${train.length} train, ${val.length} val, ${test.length} test.`,
  };
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
  return new TextDecoder().decode(await tree.read(name, MAX_LIST_BYTES));
}

function parseClasses(text: string, tree: FileTree): string[] {
  const lines = text.trimEnd().split('\n');
  return lines.map((line, index) => {
    const name = line.trim();
    if (name === '') {
      throw new IdatError(
        'data.classes.empty',
        `${tree.source}/classes.txt:${index + 1}: expected a class name, got an empty line`,
      );
    }
    return name;
  });
}

function checkPresent(tree: FileTree, list: string, { path, line }: ListedImage): void {
  if (tree.files.has(path)) return;
  const where = `${tree.source}/${list}:${line}`;
  // A folder on the way may be what is passed over, so every beginning of the path is looked up.
  const steps = path.split('/').map((_, i, names) => names.slice(0, i + 1).join('/'));
  const passed = steps.find((step) => tree.passedOver.has(step));
  if (passed !== undefined) {
    throw new IdatError('data.list.passed-over', `${where}: ${passed} ${REASONS[tree.passedOver.get(passed)!]}`);
  }
  throw new IdatError(
    'data.list.missing-image',
    `${where}: there is no file ${path}; fetch the data set again or remove the line`,
  );
}

function numbered(lists: ListedImage[][]): string[] {
  const largest = lists.flat().reduce((max, { label }) => Math.max(max, label), 0);
  return Array.from({ length: largest + 1 }, (_, label) => String(label));
}

function toItem(tree: FileTree, { path, label }: ListedImage): ImageItem {
  return { name: path, label, read: () => tree.read(path, MAX_IMAGE_BYTES) };
}
