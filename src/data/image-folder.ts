/**
 * Folders of images, one folder a class: torchvision's ImageFolder, with or without splits above the classes.
 */
import { IdatError, printable } from '../errors.js';
import type { ImageItem, Layout, Splits } from './dataset.js';
import { type FileTree, IMAGE_EXTENSIONS, isImagePath, MAX_IMAGE_BYTES, subtree, topFolders } from './file-tree.js';
import { elsewhere, leftOut } from './left-out.js';
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
 *   `data.split.mixed`, `data.split.small`, `data.split.fraction`, `data.path.unreadable`
 */
export function readImageFolder(tree: FileTree, options: SplitOptions): Layout {
  const splits = findSplitFolders(tree);
  return splits ? readGivenSplits(tree, splits, options) : makeSplits(tree, tree, options);
}

interface SplitFolders {
  train: string;
  val: string | null;
  test: string | null;
  /** A test folder without class folders: pictures nobody has named, as competitions give them. */
  unnamed: string | null;
}

/** The folder of each split, or null where the top folders are classes. */
function findSplitFolders(tree: FileTree): SplitFolders | null {
  const folders = topFolders(tree);
  // A class may well be called "test"; a data set with splits has a train folder that holds folders.
  const train = folders.find((name) => splitOf(name) === 'train');
  if (train === undefined) return null;
  if (topFolders(subtree(tree, train)).length === 0) {
    if (!folders.some((name) => splitOf(name) === 'test')) return null;
    throw new IdatError(
      'data.no-classes',
      `${tree.source}/${train}: holds no class folders; put the images of each class into a folder of its name, in each split, or list them in a table such as train.csv`,
    );
  }
  const found = new Map<string, string>();
  for (const folder of folders) {
    const split = splitOf(folder);
    if (split !== undefined && found.has(split)) {
      throw new IdatError(
        'data.split.mixed',
        `${tree.source}: both ${found.get(split)}/ and ${folder}/ are ${split} folders; keep one`,
      );
    }
    if (split !== undefined) found.set(split, folder);
    else if (imagesIn(subtree(tree, folder)).length > 0) {
      throw new IdatError(
        'data.split.mixed',
        `${tree.source}: ${folder}/ holds images beside ${train}/; expected only train/, val/ and test/, or only class folders`,
      );
    }
  }
  const [val, test] = [found.get('val') ?? null, found.get('test') ?? null];
  const named = test !== null && topFolders(subtree(tree, test)).length > 0;
  const splits = { train, val, test: named ? test : null, unnamed: named ? null : test };
  if (splits.val === null && test === null) {
    throw new IdatError(
      'data.split.missing',
      `${tree.source}: has ${train}/ but neither test/ nor val/; add one with the same class folders, or give ${tree.source}/${train} alone and idat splits it`,
    );
  }
  return splits;
}

const splitOf = (folder: string) => SPLIT_FOLDERS[folder.toLowerCase()];

function readGivenSplits(tree: FileTree, splits: SplitFolders, options: SplitOptions): Layout {
  const { seed, valFraction = 0.2 } = options;
  const measured = splits.test ?? splits.val;
  const unused = splits.unnamed === null ? '' : `${splits.unnamed}/ has no class folders and is not used`;
  if (measured === null) return withRemark(makeSplits(subtree(tree, splits.train), tree, options), unused);
  const trainTree = subtree(tree, splits.train);
  const trainFolder = readClasses(trainTree);
  const classes = [...trainFolder.keys()];
  requireClasses(tree, classes);
  const sameClasses = (folder: string) => {
    const byClass = readClasses(subtree(tree, folder), { allowEmpty: true });
    const unknown = [...byClass.keys()].find((name) => !trainFolder.has(name) && byClass.get(name)!.length > 0);
    if (unknown !== undefined) {
      throw new IdatError(
        'data.class.unknown',
        `${tree.source}/${folder}/${printable(unknown)}: ${splits.train}/ has no class of this name; expected one of ${classes.slice(0, 5).map(printable).join(', ')}${classes.length > 5 ? ', …' : ''}`,
      );
    }
    return byClass;
  };
  const test = sameClasses(measured);
  const valGiven = splits.test !== null && splits.val !== null;
  const { kept, taken } = valGiven
    ? { kept: trainFolder, taken: sameClasses(splits.val!) }
    : stratifiedSplit(trainFolder, valFraction, seed, 'val');
  const layout = toLayout(classes, { train: kept, val: taken, test });
  requireImages(tree, layout, { val: valGiven || valFraction > 0, test: true });
  const made = `val split from ${splits.train}/ by idat (seed ${seed}, stratified by class, ${percent(valFraction)})`;
  const origin = valGiven
    ? 'Splits as the data set’s folders have them'
    : splits.test !== null
      ? `test/ as the data set has it, ${made}`
      : `${splits.val}/ is what is measured on (test), for want of a test/ with classes; ${made}`;
  const stray = [splits.train, measured, ...(valGiven ? [splits.val!] : [])].flatMap((folder) =>
    strayIn(subtree(tree, folder)).map((name) => `${folder}/${name}`),
  );
  return withRemark({ ...layout, note: noteOf(origin, layout, tree, [...strayIn(tree), ...stray]) }, unused);
}

/** @param whole what `tree` is a part of, for what is left out */
function makeSplits(tree: FileTree, whole: FileTree, options: SplitOptions): Layout {
  const { seed, valFraction = 0.2, testFraction = 0.2 } = options;
  const byClass = readClasses(tree);
  const classes = [...byClass.keys()];
  requireClasses(tree, classes);
  const { kept, taken: test } = stratifiedSplit(byClass, testFraction, seed, 'test');
  const { kept: train, taken: val } = stratifiedSplit(kept, valFraction, seed, 'val');
  const layout = toLayout(classes, { train, val, test });
  requireImages(tree, layout, { val: valFraction > 0, test: testFraction > 0 });
  const how = `seed ${seed}, stratified by class, ${percent(testFraction)} test, ${percent(valFraction)} of the rest val`;
  const origin = `The data set has no splits; idat made them (${how})`;
  return { ...layout, note: noteOf(origin, layout, whole, strayIn(tree)) };
}

const withRemark = (layout: Layout, remark: string): Layout =>
  remark === '' ? layout : { ...layout, note: `${layout.note} ${remark}.` };

/** Images below each top folder, names and paths sorted. */
function readClasses(tree: FileTree, { allowEmpty = false } = {}): ByClass {
  const byClass: ByClass = new Map();
  const images = imagesIn(tree);
  for (const className of topFolders(tree)) byClass.set(className, []);
  if (images.length === 0) {
    const found = leftOut(tree);
    throw new IdatError(
      'data.empty',
      `${tree.source}: no images found; expected ${IMAGE_EXTENSIONS} files in a folder for each class${found && `. ${found}`}`,
    );
  }
  if (byClass.size === 0) {
    throw new IdatError(
      'data.no-classes',
      `${tree.source}: holds images but no class folders; put the images of each class into a folder of its name, or list them in a table such as labels.csv`,
    );
  }
  const labels = new Map([...byClass.keys()].map((className, label) => [className, label]));
  for (const path of images) {
    const className = path.slice(0, Math.max(path.indexOf('/'), 0));
    byClass
      .get(className)
      ?.push({ name: path, label: labels.get(className)!, read: () => tree.read(path, MAX_IMAGE_BYTES) });
  }
  for (const [className, items] of byClass) if (items.length === 0 && !allowEmpty) throw emptyClass(tree, className);
  return byClass;
}

function emptyClass(tree: FileTree, className: string): IdatError {
  const where = `${tree.source}/${printable(className)}`;
  if (tree.passedOver.get(className) === 'forbidden') {
    return new IdatError('data.path.unreadable', `${where}: cannot list this folder; check its permissions`);
  }
  const found = leftOut(subtree(tree, className), [], true);
  const what = `holds no images (${IMAGE_EXTENSIONS}); add some or remove the folder`;
  return new IdatError('data.class.empty', `${where}: ${what}${found && `. ${found}`}`);
}

function imagesIn(tree: FileTree): string[] {
  return [...tree.files].filter(isImagePath).sort();
}

/** Images beside the class folders, which are of no class. */
const strayIn = (tree: FileTree): string[] => imagesIn(tree).filter((path) => !path.includes('/'));

function requireClasses(tree: FileTree, classes: string[]): void {
  if (classes.length < 2) {
    throw new IdatError(
      'data.one-class',
      `${tree.source}: found one class only (${printable(classes[0]!)}); there is nothing to tell apart, add a folder for each further class`,
    );
  }
}

function requireImages(tree: FileTree, layout: Splits, wanted: { val: boolean; test: boolean }): void {
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

function noteOf(origin: string, layout: Splits, tree: FileTree, stray: string[]): string {
  const { train, val, test } = layout;
  const counts = `${train.length} train, ${val.length} val, ${test.length} test`;
  return [`${origin}: ${counts}.`, elsewhere(tree), leftOut(tree, stray)].filter((part) => part !== '').join(' ');
}
