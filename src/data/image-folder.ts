/**
 * Folders of images, one folder a class: torchvision's ImageFolder, with or without splits above the classes.
 */
import { IdatError } from '../errors.js';
import type { ImageItem, Layout, Splits } from './dataset.js';
import { type FileTree, IMAGE_EXTENSIONS, isImagePath, MAX_IMAGE_BYTES, subtree, topFolders } from './file-tree.js';
import { stratifiedSplit } from './stratified-split.js';

export interface SplitOptions {
  seed: number;
  /** Share of what is left beside the test images that validates; default 0.2. */
  valFraction?: number;
  /** Share of all images that tests, where the data set has no test folder; default 0.2. */
  testFraction?: number;
}

type ByClass = Map<string, ImageItem[]>;

/** How the folders above the classes may be called, so that `Train` is not taken for a class. */
const SPLIT_FOLDERS: Record<string, 'train' | 'val' | 'test'> = {
  train: 'train',
  training: 'train',
  val: 'val',
  valid: 'val',
  validation: 'val',
  test: 'test',
  testing: 'test',
};

/**
 * @throws IdatError `data.empty`, `data.no-classes`, `data.one-class`, `data.class.empty`, `data.class.unknown`, `data.split.missing`,
 *   `data.split.mixed`, `data.split.small`, `data.split.fraction`, `data.link.escape`
 */
export function readImageFolder(tree: FileTree, options: SplitOptions): Layout {
  const [link] = tree.refused;
  if (link) throw new IdatError('data.link.escape', `${tree.source}/${link[0]}: ${link[1]}`);
  const splits = findSplitFolders(tree);
  return splits ? readGivenSplits(tree, splits, options) : makeSplits(tree, options);
}

/** The folder of each split, or null where the top folders are classes. */
function findSplitFolders(tree: FileTree): Map<string, string> | null {
  const folders = topFolders(tree);
  // A class may well be called "test"; a data set with splits has a train folder that holds folders.
  const train = folders.find((name) => SPLIT_FOLDERS[name.toLowerCase()] === 'train');
  if (train === undefined) return null;
  if (topFolders(subtree(tree, train)).length === 0) {
    if (!folders.some((name) => SPLIT_FOLDERS[name.toLowerCase()] === 'test')) return null;
    throw new IdatError(
      'data.no-classes',
      `${tree.source}/${train}: holds no class folders; put the images of each class into a folder of its name, in each split`,
    );
  }
  const splits = new Map<string, string>();
  for (const folder of folders) {
    const split = SPLIT_FOLDERS[folder.toLowerCase()];
    if (split !== undefined && splits.has(split)) {
      throw new IdatError(
        'data.split.mixed',
        `${tree.source}: both ${splits.get(split)}/ and ${folder}/ are ${split} folders; keep one`,
      );
    }
    if (split !== undefined) splits.set(split, folder);
    else if (imagesIn(subtree(tree, folder)).length > 0) {
      throw new IdatError(
        'data.split.mixed',
        `${tree.source}: ${folder}/ holds images beside ${train}/; expected only train/, val/ and test/, or only class folders`,
      );
    }
  }
  if (!splits.has('test')) {
    throw new IdatError(
      'data.split.missing',
      `${tree.source}: has ${train}/ but no test/; add test/ with the same class folders, or give a folder of classes alone and idat splits it`,
    );
  }
  return splits;
}

function readGivenSplits(
  tree: FileTree,
  splits: Map<string, string>,
  { seed, valFraction = 0.2 }: SplitOptions,
): Layout {
  const given = (split: string) => readClasses(subtree(tree, splits.get(split)!));
  const trainFolder = given('train');
  const classes = [...trainFolder.keys()];
  requireClasses(tree, classes);
  const sameClasses = (split: string) => {
    const byClass = given(split);
    const unknown = [...byClass.keys()].find((name) => !trainFolder.has(name));
    if (unknown !== undefined) {
      throw new IdatError(
        'data.class.unknown',
        `${tree.source}/${splits.get(split)}/${unknown}: train/ has no class of this name; expected one of ${classes.slice(0, 5).join(', ')}${classes.length > 5 ? ', …' : ''}`,
      );
    }
    return byClass;
  };
  const test = sameClasses('test');
  const { kept, taken } = splits.has('val')
    ? { kept: trainFolder, taken: sameClasses('val') }
    : stratifiedSplit(trainFolder, valFraction, seed, 'val');
  const layout = toLayout(classes, { train: kept, val: taken, test });
  requireImages(tree, layout, { val: splits.has('val') || valFraction > 0, test: true });
  const origin = splits.has('val')
    ? 'Splits as the data set’s folders have them'
    : `test/ as the data set has it, val split from train/ by idat (seed ${seed}, stratified by class, ${percent(valFraction)})`;
  return { ...layout, note: `${origin}: ${countsOf(layout)}.` };
}

function makeSplits(tree: FileTree, { seed, valFraction = 0.2, testFraction = 0.2 }: SplitOptions): Layout {
  const byClass = readClasses(tree);
  const classes = [...byClass.keys()];
  requireClasses(tree, classes);
  const { kept, taken: test } = stratifiedSplit(byClass, testFraction, seed, 'test');
  const { kept: train, taken: val } = stratifiedSplit(kept, valFraction, seed, 'val');
  const layout = toLayout(classes, { train, val, test });
  requireImages(tree, layout, { val: valFraction > 0, test: testFraction > 0 });
  const how = `seed ${seed}, stratified by class, ${percent(testFraction)} test, ${percent(valFraction)} of the rest val`;
  return { ...layout, note: `The data set has no splits; idat made them (${how}): ${countsOf(layout)}.` };
}

/** Images below each top folder, names and paths sorted. */
function readClasses(tree: FileTree): ByClass {
  const byClass: ByClass = new Map();
  const images = imagesIn(tree);
  for (const className of topFolders(tree)) byClass.set(className, []);
  if (images.length === 0) {
    throw new IdatError(
      'data.empty',
      `${tree.source}: no images found; expected ${IMAGE_EXTENSIONS} files in a folder for each class`,
    );
  }
  if (byClass.size === 0) {
    throw new IdatError(
      'data.no-classes',
      `${tree.source}: holds images but no class folders; put the images of each class into a folder of its name`,
    );
  }
  const labels = new Map([...byClass.keys()].map((className, label) => [className, label]));
  for (const path of images) {
    const className = path.slice(0, path.indexOf('/'));
    byClass
      .get(className)
      ?.push({ name: path, label: labels.get(className)!, read: () => tree.read(path, MAX_IMAGE_BYTES) });
  }
  for (const [className, items] of byClass) {
    if (items.length === 0) {
      throw new IdatError(
        'data.class.empty',
        `${tree.source}/${className}: holds no images (${IMAGE_EXTENSIONS}); add some or remove the folder`,
      );
    }
  }
  return byClass;
}

function imagesIn(tree: FileTree): string[] {
  return [...tree.files].filter(isImagePath).sort();
}

function requireClasses(tree: FileTree, classes: string[]): void {
  if (classes.length < 2) {
    throw new IdatError(
      'data.one-class',
      `${tree.source}: found one class only (${classes[0]}); there is nothing to tell apart, add a folder for each further class`,
    );
  }
}

function requireImages(
  tree: FileTree,
  layout: Layout | Omit<Layout, 'note'>,
  wanted = { val: true, test: true },
): void {
  for (const split of ['val', 'test'] as const) {
    if (wanted[split] && layout[split].length === 0) {
      throw new IdatError(
        'data.split.small',
        `${tree.source}: too few images to set some aside for ${split}; a class needs three or more`,
      );
    }
  }
}

function toLayout(classes: string[], splits: { train: ByClass; val: ByClass; test: ByClass }): Omit<Layout, 'note'> {
  // Labels come from the training folder: a split that lacks a class must not shift the ones after it.
  const flatten = (byClass: ByClass) =>
    classes.flatMap((className, label) => (byClass.get(className) ?? []).map((item) => ({ ...item, label })));
  const train = flatten(splits.train);
  const val = flatten(splits.val);
  return { kind: 'folder', classes, train, val, trainval: [...train, ...val], test: flatten(splits.test) };
}

const percent = (fraction: number) => `${Math.round(fraction * 1000) / 10} %`;

function countsOf({ train, val, test }: Splits): string {
  return `${train.length} train, ${val.length} val, ${test.length} test`;
}
