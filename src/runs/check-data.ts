/** Looking at a data set before anything is trained on it: all of its images are read, and what is wrong is counted. */
import { type ComparedSplits, compareSplits, dataNotes, type ReadSplits } from '../data/data-notes.js';
import type { Dataset, ImageItem } from '../data/dataset.js';
import { sizeInHeader } from '../data/node/decode.js';
import { loadPixels } from '../data/node/index.js';
import { fingerprintOfImages } from '../data/node/pixels.js';
import type { PixelStore } from '../data/pixels.js';
import { type IdatError, printable } from '../errors.js';
import { recipeFor, recipesCalled, SUITE_IMAGES } from '../paper/named-recipes.js';
import { SPLIT_SEED } from '../settings/fields.js';
import type { SplitName } from '../settings/protocols.js';
import { type Spread, spread } from '../statistics/index.js';
import type { RunControl } from '../train/progress.js';
import { fetching } from './backbones.js';
import { type DataSource, nameOfData, openData } from './data-source.js';

/** Something that a data set has so many of, and the first few, each in words. */
export interface Counted {
  readonly count: number;
  readonly examples: readonly string[];
}

export interface CheckedSplit {
  /** Those that can be read. */
  readonly images: number;
  readonly unreadable: number;
  /** Of each class, by label. */
  readonly perClass: readonly number[];
  /** Changes when names, labels or contents do; runs record the same of what they trained on. Null where no image can be read. */
  readonly fingerprint: string | null;
}

/** An `error` is to be mended before results mean anything, a `warning` is to be known. */
export interface Finding {
  readonly severity: 'error' | 'warning';
  readonly text: string;
}

export interface DataCheck {
  readonly source: string;
  readonly kind: Dataset['kind'];
  /** Where the splits came from and what was left out. */
  readonly note: string;
  readonly classes: readonly string[];
  /** The task of VTAB-1K or VTAB-mini that it is, by name, lists, classes and counts: `vtab/cifar100`; or null. */
  readonly task: string | null;
  readonly splits: Readonly<Record<SplitName, CheckedSplit>>;
  /** Of lists: what they name that is not there, labels that no class has, and lines that are wrong in another way. */
  readonly missing: Counted;
  readonly labelsOutOfRange: Counted;
  readonly brokenLines: Counted;
  readonly unreadable: Counted;
  /** Files that lie in the data set more than once, and those of them that have two labels. */
  readonly repeated: Counted;
  readonly contradicting: Counted;
  /** What the split that is measured on shares with the one that is trained on. */
  readonly compared: readonly ComparedSplits[];
  /** Of images as their files have them; null where nobody could tell. */
  readonly sizes: { readonly width: Spread; readonly height: Spread; readonly bytes: Spread } | null;
  /** What is wrong, in sentences, errors first; empty where nothing is. */
  readonly findings: readonly Finding[];
}

export interface CheckDataOptions extends RunControl {
  /** Decides the splits that idat makes, as in runs; default 42. */
  readonly splitSeed?: number;
}

/** Side of the images that are compared: enough to tell pictures apart, and small enough for a hundred thousand. */
const SIDE = 32;
const SHOWN = 3;
const SPLITS = ['train', 'val', 'trainval', 'test'] as const;

/**
 * Reads every image of a data set and tells what it is and what is wrong with it. Lines of lists that are wrong are counted here,
 * where training stops at the first.
 * @throws IdatError `data.…` as `fineTune` for what is no data set at all, `data.all-unreadable`; the signal's reason
 */
export async function checkData(data: DataSource, options: CheckDataOptions = {}): Promise<DataCheck> {
  const { splitSeed: seed = SPLIT_SEED, onProgress, signal } = options;
  const wrong: IdatError[] = [];
  const onProblem = (problem: IdatError) => void wrong.push(problem);
  const dataset = await openData(data, { seed, onProblem }, fetching(nameOfData(data), options));
  try {
    const looked = new Map<string, ImageSize>();
    const items = distinct(dataset, looked);
    const all = await loadPixels(items, {
      size: SIDE,
      orient: false,
      strict: false,
      cacheDir: null,
      onProgress: (done, total) => onProgress?.({ kind: 'decode', done, total }),
      ...(signal && { signal }),
    });
    try {
      return await describe(dataset, nameOfData(data), { all, wrong, looked, signal });
    } finally {
      await all.close();
    }
  } finally {
    await dataset.close();
  }
}

interface ImageSize {
  readonly bytes: number;
  readonly size: { readonly width: number; readonly height: number } | null;
}

const keyOf = ({ key, name }: ImageItem): string => key ?? name;

/** Each image once, in however many lists it stands. @param looked gets the sizes when they are read */
function distinct(dataset: Dataset, looked: Map<string, ImageSize>): ImageItem[] {
  const byKey = new Map(SPLITS.flatMap((split) => dataset[split]).map((item) => [keyOf(item), item]));
  return [...byKey].map(([key, item]) => ({
    ...item,
    read: async () => {
      const content = await item.read();
      if (!looked.has(key)) {
        const isFile = content instanceof Uint8Array;
        const size = isFile ? await sizeInHeader(content) : { width: content.width, height: content.height };
        looked.set(key, { bytes: isFile ? content.length : content.data.length, size });
      }
      return content;
    },
  }));
}

interface Reading {
  readonly all: PixelStore;
  readonly wrong: readonly IdatError[];
  readonly looked: ReadonlyMap<string, ImageSize>;
  readonly signal: AbortSignal | undefined;
}

async function describe(dataset: Dataset, name: string, reading: Reading): Promise<DataCheck> {
  const { all, wrong, signal } = reading;
  const views = Object.fromEntries(SPLITS.map((split) => [split, viewOf(all, dataset[split])]));
  const read = Object.fromEntries(Object.entries(views).filter(([, { count }]) => count > 0)) as ReadSplits;
  const compared = await compareSplits(read, signal);
  const of = (...codes: string[]) =>
    counted(wrong.filter(({ code }) => codes.includes(code)).map(({ message }) => message));
  const MISSING = ['data.list.missing-image', 'data.list.passed-over'];
  const check = {
    source: dataset.source,
    kind: dataset.kind,
    note: dataset.note,
    classes: dataset.classes,
    task: taskOf(dataset, name),
    splits: Object.fromEntries(
      SPLITS.map((split) => [split, splitCheck(views[split]!, dataset[split], dataset.classes.length)]),
    ) as Record<SplitName, CheckedSplit>,
    missing: of(...MISSING),
    labelsOutOfRange: of('data.list.label'),
    brokenLines: counted(
      wrong.filter(({ code }) => ![...MISSING, 'data.list.label'].includes(code)).map(({ message }) => message),
    ),
    unreadable: counted(all.skipped.map(({ name: image, reason }) => `${printable(image)}: ${reason}`)),
    ...repetitions(dataset, all),
    compared,
    sizes: sizesOf([...reading.looked.values()]),
  };
  return { ...check, findings: findingsOf(check, dataset, name, read) };
}

const counted = (examples: readonly string[]): Counted => ({
  count: examples.length,
  examples: examples.slice(0, SHOWN),
});

/** The images of a split among all that were read. */
function viewOf(all: PixelStore, items: readonly ImageItem[]): PixelStore {
  const places = new Map(all.keys.map((key, place) => [key, place]));
  const readable = items.filter((item) => places.has(keyOf(item)));
  const at = readable.map((item) => places.get(keyOf(item))!);
  const [names, keys, fileHashes] = [all.names, all.keys, all.fileHashes].map((one) => at.map((place) => one[place]!));
  const labels = Int32Array.from(readable, ({ label }) => label);
  return {
    ...all,
    count: at.length,
    labels,
    names: names!,
    keys: keys!,
    fileHashes: fileHashes!,
    skipped: [],
    fingerprint: fingerprintOfImages(keys!.map((key, i) => [key, labels[i]!, fileHashes![i]!])),
    read: (indices) => all.read(Array.from(indices, (index) => at[index]!)),
    close: async () => {},
  };
}

function splitCheck(view: PixelStore, items: readonly ImageItem[], classes: number): CheckedSplit {
  const perClass = new Array<number>(classes).fill(0);
  for (const label of view.labels) perClass[label]!++;
  const fingerprint = view.count > 0 ? view.fingerprint : null;
  return { images: view.count, unreadable: items.length - view.count, perClass, fingerprint };
}

/** Files of the same bytes, by all the labels they have in any split. */
function repetitions(
  { train, val, trainval, test }: Dataset,
  all: PixelStore,
): Pick<DataCheck, 'repeated' | 'contradicting'> {
  const labels = new Map<string, Set<number>>();
  for (const item of [...train, ...val, ...trainval, ...test]) {
    const key = keyOf(item);
    labels.set(key, (labels.get(key) ?? new Set()).add(item.label));
  }
  const byHash = new Map<string, { name: string; labels: Set<number> }[]>();
  for (const [i, hash] of all.fileHashes.entries()) {
    const own = { name: all.names[i]!, labels: labels.get(all.keys[i]!)! };
    byHash.set(hash, [...(byHash.get(hash) ?? []), own]);
  }
  const same = [...byHash.values()];
  const words = (group: { name: string }[]) =>
    group
      .slice(0, SHOWN)
      .map(({ name }) => printable(name))
      .join(' and ');
  const twoLabels = same.filter((group) => new Set(group.flatMap((one) => [...one.labels])).size > 1);
  return {
    repeated: counted(same.filter((group) => group.length > 1).map(words)),
    contradicting: counted(twoLabels.map(words)),
  };
}

function sizesOf(looked: readonly ImageSize[]): DataCheck['sizes'] {
  const sized = looked.flatMap(({ bytes, size }) => (size ? [{ bytes, ...size }] : []));
  if (sized.length === 0) return null;
  const of = (field: 'width' | 'height' | 'bytes') => spreadOf(sized.map((one) => one[field]));
  return { width: of('width'), height: of('height'), bytes: of('bytes') };
}

/** Of any number of values, where arguments of a function are bounded. */
function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.slice(Math.floor((sorted.length - 1) / 2), Math.floor(sorted.length / 2) + 1);
  return spread([sorted[0]!, ...middle, sorted.at(-1)!]);
}

const countsOf = ({ classes, trainval, test }: Dataset) => ({
  classes: classes.length,
  trainImages: trainval.length,
  testImages: test.length,
});

const taskOf = (dataset: Dataset, name: string): string | null =>
  recipeFor({ name, listed: dataset.kind === 'vtab', ...countsOf(dataset) })?.name ?? null;

type Unjudged = Omit<DataCheck, 'findings'>;

function findingsOf(check: Unjudged, dataset: Dataset, name: string, read: ReadSplits): Finding[] {
  const error = (text: string): Finding => ({ severity: 'error', text });
  const warning = (text: string): Finding => ({ severity: 'warning', text });
  const errors = (one: string, many: string, { count, examples }: Counted) =>
    count === 0 ? [] : [error(`${count} ${count === 1 ? one : many}, such as: ${examples[0]}`)];
  const notes = dataNotes(check.classes, read, check.compared).filter(({ code }) => code !== 'data.checked');
  const findings = [
    ...errors(
      'line of a list names an image that is not there',
      'lines of lists name images that are not there',
      check.missing,
    ),
    ...errors('label is out of range', 'labels are out of range', check.labelsOutOfRange),
    ...errors('line of a list is wrong', 'lines of lists are wrong', check.brokenLines),
    ...errors('image cannot be read', 'images cannot be read', check.unreadable),
    ...errors(
      'picture lies there under several labels',
      'pictures lie there under several labels',
      check.contradicting,
    ),
    ...unequalLists(dataset).map(error),
    ...notes.map(({ code, text }) => (code === 'data.overlap' ? error(text) : warning(text))),
    ...(check.repeated.count > 0
      ? [
          warning(
            `${check.repeated.count} ${check.repeated.count === 1 ? 'picture lies' : 'pictures lie'} there more than once, such as ${check.repeated.examples[0]}`,
          ),
        ]
      : []),
    ...(check.compared.some(({ overlap }) => !overlap.whole)
      ? [warning('pixels were not all compared, as there are too many; files were')]
      : []),
    ...(check.task === null && dataset.kind === 'vtab' ? almost(dataset, name).map(warning) : []),
  ];
  return [
    ...findings.filter(({ severity }) => severity === 'error'),
    ...findings.filter(({ severity }) => severity !== 'error'),
  ];
}

/** What is trained on in the end should be what was trained and validated on before. */
function unequalLists({ kind, train, val, trainval }: Dataset): string[] {
  if (kind !== 'vtab') return [];
  const labelled = (item: ImageItem) => `${keyOf(item)} ${item.label}`;
  const [parts, whole] = [[...train, ...val], trainval].map((items) => new Set(items.map(labelled)));
  const only =
    [...parts!].filter((one) => !whole!.has(one)).length + [...whole!].filter((one) => !parts!.has(one)).length;
  if (only === 0) return [];
  return [`the list of train and val together is not the two lists: ${only} images or labels are in one of them alone`];
}

/** Called as a task, and otherwise than it. */
function almost(dataset: Dataset, name: string): string[] {
  const { classes, trainImages, testImages } = countsOf(dataset);
  return recipesCalled(name).map((task) => {
    const has = `${trainImages} + ${testImages} images of ${classes} classes`;
    return `called as ${task.name}, but has ${has} where that has ${SUITE_IMAGES} + ${task.testImages} of ${task.classes}`;
  });
}
