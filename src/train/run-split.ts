/**
 * The split of a run: which images it trains on and which it is measured on, kept with it. A data set may grow or change
 * afterwards; the run's own images stay those it began with.
 */
import { z } from 'zod';
import type { Dataset, ImageItem } from '../data/dataset.js';
import { IdatError, inWords, printable } from '../errors.js';
import { issuesOf } from '../settings/issues.js';
import type { SplitName } from '../settings/protocols.js';
import type { Pixels } from './splits.js';

export const SPLIT_FILE = 'split.json';

/** Name, label and sha256 of an image's file. */
const Image = z.tuple([z.string(), z.int().min(0), z.string()]);
const SplitNames = z.enum(['train', 'val', 'trainval', 'test']);
const Split = z.object({
  format: z.literal('idat-split-1'),
  splits: z.partialRecord(SplitNames, z.array(Image).min(1)),
  /** Names of images that could not be read, in no split but counted with it. */
  unreadable: z.partialRecord(SplitNames, z.array(z.string())).optional(),
});
/** split.json */
export type RunSplit = z.output<typeof Split>;

/** The images of the splits a run reads, without those that could not be read. */
export const splitOf = (pixels: Pixels): RunSplit => ({
  format: 'idat-split-1',
  splits: Object.fromEntries(
    Object.entries(pixels).map(([name, { student }]) => [
      name,
      student.keys.map((key, i) => [key, student.labels[i]!, student.fileHashes[i]!] as const),
    ]),
  ) as RunSplit['splits'],
  unreadable: Object.fromEntries(
    Object.entries(pixels)
      .filter(([, { student }]) => student.skipped.length > 0)
      .map(([name, { student }]) => [name, student.skipped.map((image) => image.name)]),
  ) as RunSplit['unreadable'],
});

/** As the file has it: an image a line, so that two runs' splits can be compared by any tool. */
export function splitText({ format, splits, unreadable = {} }: RunSplit): string {
  const lists = Object.entries(splits).map(
    ([name, images]) =>
      `  ${JSON.stringify(name)}: [\n${images.map((image) => `   ${JSON.stringify(image)}`).join(',\n')}\n  ]`,
  );
  return `{\n "format": ${JSON.stringify(format)},\n "splits": {\n${lists.join(',\n')}\n },\n "unreadable": ${JSON.stringify(unreadable)}\n}\n`;
}

/** What `splitText` wrote. @throws IdatError `run.damaged` */
export function parseSplit(text: string, path: string): RunSplit {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new IdatError('run.damaged', `${path}: not JSON; copy the run again`, { cause: error });
  }
  const parsed = Split.safeParse(value, { reportInput: true });
  if (parsed.success) return parsed.data;
  const issues = issuesOf(parsed.error, []).slice(0, 1);
  throw new IdatError('run.damaged', `${path}: ${inWords(issues)}; copy the run again`, { issues });
}

const keyOf = ({ key, name }: ImageItem): string => key ?? name;

/**
 * The data set with the run's splits in place of its own.
 * @returns it, and how many of its images are in none of them: those that came later, or that a split leaves out
 * @throws IdatError `run.changed` when an image of the run is not there any more
 */
export function withSplitOf(
  dir: string,
  dataset: Dataset,
  { splits, unreadable = {} }: RunSplit,
): { readonly dataset: Dataset; readonly others: number } {
  const there = new Map([...dataset.trainval, ...dataset.test].map((item) => [keyOf(item), item]));
  const used = new Set<string>();
  const byName = new Map([...there.values()].map((item) => [item.name, item]));
  const unread = (name: SplitName): ImageItem[] =>
    (unreadable[name] ?? []).flatMap((one) => {
      const item = byName.get(one);
      if (item) used.add(keyOf(item));
      return item ? [item] : [];
    });
  const readable = (name: SplitName): ImageItem[] =>
    (splits[name] ?? []).map(([key]) => {
      const item = there.get(key);
      used.add(key);
      if (item) return item; // with its label of now: another one is a change
      const what = `${dataset.source} has no ${printable(key)} any more, which the run's ${name} images had`;
      throw new IdatError('run.changed', `${dir}: ${what}; put the old images back or start a new run`);
    });
  const itemsOf = (name: SplitName) => [...readable(name), ...unread(name)];
  const own = { train: itemsOf('train'), val: itemsOf('val'), trainval: itemsOf('trainval'), test: itemsOf('test') };
  return { dataset: { ...dataset, ...own }, others: [...there.keys()].filter((key) => !used.has(key)).length };
}

/** How many of these images a run has trained on, by the bytes of their files. */
export function trainedOn({ splits }: RunSplit, hashes: readonly string[]): number {
  const trained = new Set([...(splits.trainval ?? []), ...(splits.train ?? [])].map(([, , hash]) => hash));
  return hashes.filter((hash) => trained.has(hash)).length;
}
