/**
 * The layout of VTAB-1K: four lists beside the images, as the published copies have it.
 *
 * @see Zhai et al. 2019, arXiv:1910.04867; the lists are those of the NOAH export script
 */
import { IdatError } from '../errors.js';
import type { ImageItem, Layout } from './dataset.js';
import { type FileTree, MAX_IMAGE_BYTES, MAX_LIST_BYTES } from './file-tree.js';
import { type ListedImage, parseSplitList } from './split-list.js';

const LISTS = { train: 'train800.txt', val: 'val200.txt', trainval: 'train800val200.txt', test: 'test.txt' };

export function isVtab(tree: FileTree): boolean {
  return Object.values(LISTS).some((list) => tree.files.has(list));
}

/**
 * Without classes.txt the classes are called after their labels and there are as many as the largest label says; without
 * train800val200.txt, trainval is train followed by val.
 *
 * @throws IdatError `data.list.*` naming list and line, `data.one-class`
 */
export async function readVtab(tree: FileTree): Promise<Layout> {
  const named = tree.files.has('classes.txt') ? parseClasses(await readText(tree, 'classes.txt'), tree) : null;
  const list = async (name: string): Promise<ListedImage[]> => {
    if (!tree.files.has(name)) {
      throw new IdatError(
        'data.list.missing',
        `${tree.source}: no ${name}; VTAB data need ${LISTS.train}, ${LISTS.val} and ${LISTS.test}`,
      );
    }
    const images = parseSplitList(await readText(tree, name), `${tree.source}/${name}`, named?.length ?? null);
    for (const image of images) checkPresent(tree, name, image);
    return images;
  };
  const train = await list(LISTS.train);
  const val = await list(LISTS.val);
  const test = await list(LISTS.test);
  const trainval = tree.files.has(LISTS.trainval) ? await list(LISTS.trainval) : [...train, ...val];

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
    note: `Splits as listed by the data set: ${train.length} train, ${val.length} val, ${test.length} test.`,
  };
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
  // A folder on the way may be the link that leaves, so every beginning of the path is looked up.
  const steps = path.split('/').map((_, i, names) => names.slice(0, i + 1).join('/'));
  const refused = steps.find((step) => tree.refused.has(step));
  if (refused) throw new IdatError('data.list.escape', `${where}: ${refused} ${tree.refused.get(refused)}`);
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
