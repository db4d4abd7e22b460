/**
 * Images with a table of their labels: `labels.csv`, or `train.csv`, `val.csv` and `test.csv`, as competitions and the
 * hub's image folders have them. The file's column is the one whose values are images; the first row is a header unless it
 * names an image itself.
 */
import { IdatError, printable } from '../errors.js';
import { completeSplits, noteOf, requireClasses, type SplitOptions } from './complete-splits.js';
import { type CsvRow, parseCsv } from './csv.js';
import type { ImageItem, Layout } from './dataset.js';
import {
  decodeText,
  type FileTree,
  hasClassFolders,
  MAX_IMAGE_BYTES,
  MAX_LIST_BYTES,
  subtree,
  topFolders,
} from './file-tree.js';
import { type ImageIndex, indexImages } from './image-index.js';
import { elsewhere } from './left-out.js';
import { isYesOrNo, SINGLE_LABEL, severalIn, severalLabels } from './multi-label.js';

type Split = 'train' | 'val' | 'test';

interface LabelledRow {
  image: string;
  label: string;
  /** Of the table, where it says so. */
  split: Split | null;
  line: number;
}

interface Table {
  name: string;
  /** As its name says. */
  split: Split | null;
  /** Null where there is no column of labels: pictures nobody has named. */
  rows: LabelledRow[] | null;
}

const SPLIT_WORDS: Record<string, Split> = {
  train: 'train',
  training: 'train',
  val: 'val',
  valid: 'val',
  validation: 'val',
  dev: 'val',
  test: 'test',
  testing: 'test',
};
/** `train.csv`, `train_labels.csv`, `trainLabels.csv`. */
const SPLIT_TABLE = /^(train|training|val|valid|validation|dev|test|testing)([_-]?(labels?|set|data|annotations?))?$/i;
const LABEL_COLUMN = /^(label|labels|class|classes|class_?name|category|target|species|breed|diagnosis)$/i;
/** Where words are labels each, as in no column of classes. */
const TAG_COLUMN = /^(tags|attributes|keywords)$/i;
const SPLIT_COLUMN = /^(split|subset|set|partition)$/i;
/** Folders that are parts of a data set rather than classes. */
const PART_FOLDER =
  /^(train|training|val|valid|validation|test|testing|images?|imgs?|pictures|photos|data)([_\-\d].*)?$/i;
/** Rows by which the file's column is told. */
const LOOKED_AT = 20;

/** Tables at the top, but for the form that competitions have answers filled into. */
export const tablesIn = (tree: FileTree): string[] =>
  [...tree.files].filter((path) => /^[^/]+\.(csv|tsv)$/i.test(path) && !/^sample_?submission/i.test(path)).sort();

/**
 * Null where no table is meant: there is none, folders already say the classes, or no column names images of the data set.
 *
 * @throws IdatError `data.table.*` naming table and line, `data.one-class`, `data.split.small`, `data.list.encoding`
 */
export async function readTables(tree: FileTree, options: SplitOptions): Promise<Layout | null> {
  const names = tablesIn(tree);
  if (names.length === 0 || foldersAreClasses(tree)) return null;
  const index = indexImages(tree);
  const found: Table[] = [];
  for (const name of names) {
    const table = await readTable(tree, name, index);
    if (table) found.push(table);
  }
  if (found.length === 0) return null;
  const labelled = found.filter((table) => table.rows !== null);
  const splits = splitTables(tree, labelled);
  const classes = classesOf([...splits.train, ...(splits.val ?? []), ...(splits.test ?? [])], splits.train, tree);
  requireClasses(
    tree.source,
    [...new Set(splits.train.map(({ label }) => label))].map(printable),
    'add images of others',
  );
  const byClass = (rows: LabelledRow[] | null) => rows && group(rows, classes, tree);
  const given = { train: byClass(splits.train)!, val: byClass(splits.val), test: byClass(splits.test) };
  const { origin, ...layout } = completeSplits(tree.source, classes, given, splits.words, options);
  const used = new Set([...layout.trainval, ...layout.test].map(({ name }) => name));
  const unlisted = index.size - used.size;
  const rest =
    unlisted === 0 ? '' : `${unlisted} ${unlisted === 1 ? 'image is' : 'images are'} in no table with labels.`;
  const table = `Labels from ${labelled.map(({ name }) => printable(name)).join(', ')}.`;
  return { kind: 'folder', classes, ...layout, note: noteOf(origin, layout, table, rest, elsewhere(tree)) };
}

/** Two or more folders of images that are no parts, at the top or in train/: what a table beside them says is known. */
function foldersAreClasses(tree: FileTree): boolean {
  const folders = topFolders(tree);
  const train = folders.find((folder) => /^train(ing)?$/i.test(folder));
  if (train !== undefined) return hasClassFolders(subtree(tree, train));
  return hasClassFolders(tree) && !folders.some((folder) => PART_FOLDER.test(folder));
}

async function readTable(tree: FileTree, name: string, index: ImageIndex): Promise<Table | null> {
  const source = `${tree.source}/${name}`;
  let rows: CsvRow[];
  try {
    rows = parseCsv(decodeText(await tree.read(name, MAX_LIST_BYTES), source));
  } catch (error) {
    if (error instanceof IdatError) throw error;
    throw new IdatError('data.table.broken', `${source}: ${(error as Error).message}`, { cause: error });
  }
  const stem = name.replace(/\.[^.]*$/, '');
  const split = SPLIT_WORDS[SPLIT_TABLE.exec(stem)?.[1]?.toLowerCase() ?? ''] ?? null;
  const folders = split === null ? [] : topFolders(tree).filter((folder) => folder.toLowerCase().startsWith(split));
  const find = (value: string | undefined) => (value === undefined ? null : index.find(value, folders));
  const fileColumn = columnOfFiles(rows, find);
  if (fileColumn === null) return null;
  const header = find(rows[0]!.fields[fileColumn]) === null ? rows.shift()!.fields : null;
  const labelColumn = columnOfLabels(header ?? rows[0]!.fields.map(() => ''), rows, fileColumn, source, split);
  if (labelColumn === null) return { name, split, rows: null };
  const splitColumn = header?.findIndex((field) => SPLIT_COLUMN.test(field)) ?? -1;
  const found = labelledRows(rows, { fileColumn, labelColumn, splitColumn }, find, source);
  requireSingleLabels(found, TAG_COLUMN.test(header?.[labelColumn] ?? ''), source);
  return { name, split, rows: found };
}

function columnOfFiles(rows: readonly CsvRow[], find: (value: string | undefined) => string | null): number | null {
  // the first row may be a header, so it counts only where it is alone
  const looked = rows.length > 1 ? rows.slice(1, 1 + LOOKED_AT) : rows;
  const width = Math.max(0, ...looked.map(({ fields }) => fields.length));
  // different images: a column of one number may point at one of them
  const hits = Array.from({ length: width }, (_, column) => {
    const images = looked.map(({ fields }) => find(fields[column])).filter((image) => image !== null);
    return new Set(images).size;
  });
  const most = Math.max(0, ...hits);
  return most === 0 ? null : hits.indexOf(most);
}

function columnOfLabels(
  header: readonly string[],
  rows: readonly CsvRow[],
  fileColumn: number,
  source: string,
  split: Split | null,
): number | null {
  const others = header.map((_, column) => column).filter((column) => column !== fileColumn);
  const named = others.filter((column) => LABEL_COLUMN.test(header[column]!));
  if (named.length === 1) return named[0]!;
  const candidates = others.filter((column) => !SPLIT_COLUMN.test(header[column]!));
  if (candidates.length === 1 && named.length === 0) return candidates[0]!;
  if (candidates.length === 0 || split === 'test') return null;
  const yesOrNo = candidates.filter((column) => isYesOrNo(rows.map(({ fields }) => fields[column])));
  if (yesOrNo.length > 1) {
    const names = yesOrNo.slice(0, 5).map((column) => printable(header[column]!) || `column ${column + 1}`);
    const which = `${names.join(', ')}${yesOrNo.length > names.length ? ', …' : ''}`;
    throw new IdatError(
      'data.multi-label',
      `${source}: has a column of yes or no for each class (${which}); ${SINGLE_LABEL}, in one column called "label"`,
    );
  }
  const columns = header.map(printable).join(', ');
  throw new IdatError(
    'data.table.columns',
    `${source}: which column is the class? It has ${columns || 'no header'}; call one "label", as idat trains single-label classifiers`,
  );
}

function labelledRows(
  rows: readonly CsvRow[],
  columns: { fileColumn: number; labelColumn: number; splitColumn: number },
  find: (value: string | undefined) => string | null,
  source: string,
): LabelledRow[] {
  const seen = new Map<string, LabelledRow>();
  for (const { fields, line } of rows) {
    const where = `${source}:${line}`;
    const file = fields[columns.fileColumn];
    const image = find(file);
    if (image === null) {
      throw new IdatError(
        'data.table.missing-image',
        `${where}: there is no image ${JSON.stringify(printable(file ?? ''))}, or more than one of this name`,
      );
    }
    const label = (fields[columns.labelColumn] ?? '').normalize('NFC');
    if (label === '') throw new IdatError('data.table.label', `${where}: has no label; add it or remove the line`);
    const word = columns.splitColumn < 0 ? null : (fields[columns.splitColumn] ?? '');
    const split = word === null ? null : SPLIT_WORDS[word.toLowerCase()];
    if (split === undefined) {
      throw new IdatError(
        'data.table.split',
        `${where}: expected train, val or test, got ${JSON.stringify(printable(word!))}`,
      );
    }
    const before = seen.get(image);
    if (before && before.label !== label) {
      throw new IdatError(
        'data.table.twice',
        `${where}: ${printable(image)} has another label in line ${before.line}; ${SINGLE_LABEL}`,
      );
    }
    if (!before) seen.set(image, { image, label, split, line });
  }
  return [...seen.values()];
}

/** @param blanks whether they divide labels, too. @throws IdatError `data.multi-label` */
function requireSingleLabels(rows: readonly LabelledRow[], blanks: boolean, source: string): void {
  const labels = rows.map(({ label }) => label);
  const several = severalIn(labels, blanks);
  const first = rows.find(({ label }) => several.has(label));
  if (first) throw severalLabels(`${source}:${first.line}`, first.image, several.get(first.label)!);
}

interface SplitRows {
  train: LabelledRow[];
  val: LabelledRow[] | null;
  test: LabelledRow[] | null;
  words: { train: string; val: string; test: string; all: string };
}

function splitTables(tree: FileTree, tables: readonly Table[]): SplitRows {
  const of = (split: Split) => tables.find((table) => table.split === split);
  const train = of('train');
  if (train) {
    const names = { train: train.name, val: of('val')?.name ?? 'val.csv', test: of('test')?.name ?? 'test.csv' };
    const words = { ...names, all: 'Splits as the data set’s tables have them' };
    return { train: train.rows!, val: of('val')?.rows ?? null, test: of('test')?.rows ?? null, words };
  }
  const [table, second] = tables;
  if (!table || second) {
    const which = tables.map(({ name }) => printable(name)).join(', ');
    throw new IdatError(
      'data.table.which',
      table
        ? `${tree.source}: ${which} each label images; keep one, or call them train.csv and test.csv`
        : `${tree.source}: its tables name images but have no labels; add a column "label"`,
    );
  }
  const rows = (split: Split) => {
    const own = table.rows!.filter((row) => row.split === split);
    return own.length === 0 ? null : own;
  };
  const words = { train: 'train', val: 'val', test: 'test', all: 'Splits as the data set’s table has them' };
  const given = table.rows!.some(({ split }) => split !== null);
  return given
    ? { train: rows('train') ?? [], val: rows('val'), test: rows('test'), words }
    : { train: table.rows!, val: null, test: null, words };
}

/** Numbers in their order, names in that of their letters. @throws IdatError for a label that training has not */
function classesOf(all: readonly LabelledRow[], train: readonly LabelledRow[], tree: FileTree): string[] {
  const labels = [...new Set(train.map(({ label }) => label))];
  const known = new Set(labels);
  const unknown = all.find(({ label }) => !known.has(label));
  if (unknown) {
    throw new IdatError(
      'data.class.unknown',
      `${tree.source}: ${printable(unknown.image)} is of class ${printable(unknown.label)}, which no training image is of`,
    );
  }
  const numbers = labels.every((label) => /^\d+$/.test(label));
  return numbers ? labels.sort((a, b) => Number(a) - Number(b)) : labels.sort();
}

function group(rows: readonly LabelledRow[], classes: readonly string[], tree: FileTree): Map<string, ImageItem[]> {
  const byClass = new Map<string, ImageItem[]>(classes.map((name) => [name, []]));
  const labels = new Map(classes.map((name, label) => [name, label]));
  for (const { image, label } of [...rows].sort((a, b) => (a.image < b.image ? -1 : 1))) {
    const read = () => tree.read(image, MAX_IMAGE_BYTES);
    byClass.get(label)!.push({ name: image, label: labels.get(label)!, read });
  }
  return byClass;
}
