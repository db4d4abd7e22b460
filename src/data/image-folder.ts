/**
 * Folders of images, one folder a class: torchvision's ImageFolder, with or without splits above the classes.
 */
import { IdatError, printable } from '../errors.js';
import { completeSplits, noteOf, requireClasses, type SplitOptions } from './complete-splits.js';
import type { ImageItem, Layout } from './dataset.js';
import { type FileTree, IMAGE_EXTENSIONS, isImagePath, MAX_IMAGE_BYTES, subtree, topFolders } from './file-tree.js';
import { elsewhere, leftOut } from './left-out.js';

type Classes = Map<string, ImageItem[]>;

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
  return splits ? readGivenSplits(tree, splits, options) : makeSplits(tree, options);
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
  const { train, val, test, unnamed } = splits;
  const unused = unnamed === null ? '' : `${unnamed}/ has no class folders and is not used`;
  const trainFolder = readClasses(subtree(tree, train));
  const classes = [...trainFolder.keys()];
  requireClasses(tree.source, classes.map(printable), MORE_CLASSES);
  const sameClasses = (folder: string | null) => {
    if (folder === null) return null;
    const byClass = readClasses(subtree(tree, folder), { allowEmpty: true });
    const unknown = [...byClass.keys()].find((name) => !trainFolder.has(name) && byClass.get(name)!.length > 0);
    if (unknown !== undefined) {
      throw new IdatError(
        'data.class.unknown',
        `${tree.source}/${folder}/${printable(unknown)}: ${train}/ has no class of this name; expected one of ${classes.slice(0, 5).map(printable).join(', ')}${classes.length > 5 ? ', …' : ''}`,
      );
    }
    return byClass;
  };
  const given = { train: trainFolder, val: sameClasses(val), test: sameClasses(test) };
  const words = {
    train: `${train}/`,
    val: `${val}/`,
    test: 'test/',
    all: 'Splits as the data set’s folders have them',
  };
  const { origin, ...layout } = completeSplits(tree.source, classes, given, words, options);
  const stray = [train, val, test].flatMap((folder) =>
    folder === null ? [] : strayIn(subtree(tree, folder)).map((name) => `${folder}/${name}`),
  );
  const left = leftOut(tree, [...strayIn(tree), ...stray]);
  const note = noteOf(origin, layout, elsewhere(tree), left, unused && `${unused}.`);
  return { kind: 'folder', classes, ...layout, note };
}

function makeSplits(tree: FileTree, options: SplitOptions): Layout {
  const byClass = readClasses(tree);
  const classes = [...byClass.keys()];
  requireClasses(tree.source, classes.map(printable), MORE_CLASSES);
  const words = { train: '', val: '', test: '', all: '' };
  const given = { train: byClass, val: null, test: null };
  const { origin, ...layout } = completeSplits(tree.source, classes, given, words, options);
  const note = noteOf(origin, layout, elsewhere(tree), leftOut(tree, strayIn(tree)));
  return { kind: 'folder', classes, ...layout, note };
}

const MORE_CLASSES = 'add a folder for each further class';

/** Images below each top folder, names and paths sorted. */
function readClasses(tree: FileTree, { allowEmpty = false } = {}): Classes {
  const byClass: Classes = new Map();
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
