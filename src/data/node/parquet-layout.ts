/** Data sets whose images lie in Parquet files, `train-00000-of-00002.parquet` and so on. */
import { IdatError, printable } from '../../errors.js';
import { completeSplits, noteOf, requireClasses, type SplitOptions } from '../complete-splits.js';
import type { ImageItem, Layout } from '../dataset.js';
import { type FileTree, isImagePath } from '../file-tree.js';
import { openParquet, type ParquetImages } from './parquet.js';

type Split = 'train' | 'val' | 'test';
const SPLITS: Record<string, Split> = { train: 'train', val: 'val', valid: 'val', validation: 'val', test: 'test' };
const SPLIT_FILE = /^(train|val|valid|validation|test)(?![a-z])/i;

interface Shard {
  path: string;
  split: Split | null;
  images: ParquetImages;
}

/**
 * Null where there are no Parquet files, or images beside them.
 * @throws IdatError `data.parquet.*`, `data.collection`, `data.one-class`, `data.split.small`
 */
export async function readParquet(tree: FileTree, options: SplitOptions): Promise<Layout | null> {
  const paths = [...tree.files].filter((path) => /\.parquet$/i.test(path)).sort();
  if (paths.length === 0 || [...tree.files].some(isImagePath)) return null;
  requireOneConfiguration(tree, paths);
  const shards: Shard[] = [];
  for (const path of paths) {
    const images = await openParquet(`${tree.source}/${path}`, await tree.open(path));
    shards.push({ path, split: splitOf(path), images });
  }
  const rows = shards.flatMap(rowsOf);
  const labelled = rows.filter(({ label }) => label !== null);
  const classes = classesOf(shards, labelled);
  const label = ({ label: own }: Row) => (typeof own === 'number' ? own : classes.indexOf(own!));
  const byClass = (split: Split | null) => {
    const own = labelled.filter((row) => row.split === split);
    if (own.length === 0) return null;
    const found = new Map<string, ImageItem[]>(classes.map((name) => [name, []]));
    for (const row of own) found.get(classes[label(row)]!)!.push({ name: row.name, label: label(row), read: row.read });
    return found;
  };
  const train = byClass('train') ?? byClass(null);
  if (!train)
    throw new IdatError(
      'data.parquet.split',
      `${tree.source}: no rows with labels to train on; expected train-*.parquet`,
    );
  requireClasses(
    tree.source,
    classes.filter((name) => train.get(name)!.length > 0).map(printable),
    'add images of others',
  );
  const words = {
    train: 'train',
    val: 'validation',
    test: 'test',
    all: 'Splits as the data set’s Parquet files have them',
  };
  const given = { train, val: byClass('val'), test: byClass('test') };
  const { origin, ...layout } = completeSplits(tree.source, classes, given, words, options);
  // Groups of rows are decoded together, so images are asked for in the files' order, not class by class.
  const order = new Map(rows.map(({ name }, i) => [name, i]));
  const sorted = (items: ImageItem[]) => [...items].sort((a, b) => order.get(a.name)! - order.get(b.name)!);
  const splits = { train: sorted(layout.train), val: sorted(layout.val), test: sorted(layout.test) };
  const unlabelled = rows.length - labelled.length;
  const left = unlabelled === 0 ? '' : `Left out: ${unlabelled} ${unlabelled === 1 ? 'row' : 'rows'} without a label.`;
  const trainval = [...splits.train, ...splits.val];
  return { kind: 'folder', classes, ...splits, trainval, note: noteOf(origin, layout, left) };
}

interface Row {
  name: string;
  split: Split | null;
  label: number | string | null;
  read(): Promise<Uint8Array>;
}

const rowsOf = ({ path, split, images }: Shard): Row[] =>
  images.labels.map((label, row) => ({ name: `${path}#${row}`, split, label, read: () => images.image(row) }));

/** By the file's name, or that of its folder, as the hub's converted copies have it: `default/train/0000.parquet`. */
function splitOf(path: string): Split | null {
  const [name, folder = ''] = path.split('/').reverse() as [string, string?];
  const word = SPLIT_FILE.exec(name)?.[1] ?? (folder.toLowerCase() in SPLITS ? folder : '');
  return SPLITS[word.toLowerCase()] ?? null;
}

/** A repository may hold several data sets, each in a folder. */
function requireOneConfiguration(tree: FileTree, paths: readonly string[]): void {
  const folders = new Set(paths.map(configurationOf));
  if (folders.size < 2) return;
  const which = [...folders].slice(0, 8).map(printable).join(', ');
  throw new IdatError(
    'data.collection',
    `${tree.source}: holds ${folders.size} data sets (${which}); give one of these folders`,
  );
}

/** The folder it lies in, less one for a split. */
function configurationOf(path: string): string {
  const folders = path.split('/').slice(0, -1);
  if ((folders.at(-1) ?? '').toLowerCase() in SPLITS) folders.pop();
  return folders.join('/');
}

function classesOf(shards: readonly Shard[], labelled: readonly Row[]): string[] {
  const named = shards.find(({ images }) => images.classNames !== null)?.images.classNames;
  const words = labelled.filter(({ label }) => typeof label === 'string').map(({ label }) => String(label));
  if (words.length > 0) return [...new Set(words)].sort();
  const largest = labelled.reduce((most, { label }) => Math.max(most, Number(label)), -1);
  if (named && largest < named.length) return named;
  if (largest >= 100_000)
    throw new IdatError('data.parquet.labels', `labels go up to ${largest}; expected classes counted from 0`);
  return Array.from({ length: largest + 1 }, (_, label) => String(label));
}
