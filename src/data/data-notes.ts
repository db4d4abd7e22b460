/** What should be known of a data set before it is trained on, in sentences: found once its images have been read. */
import { printable } from '../errors.js';
import { findOverlap, type Likeness, type Overlap } from './overlap.js';
import type { PixelStore } from './pixels.js';

export type DataNoteCode = 'data.overlap' | 'data.alike' | 'data.classes' | 'data.checked';

export interface DataNote {
  code: DataNoteCode;
  text: string;
}

/** The splits that were read; which of them a run reads is its protocol's matter. */
export type ReadSplits = Partial<Record<'train' | 'val' | 'trainval' | 'test', PixelStore>>;

const SHOWN = 5;

/** What two splits share. */
export interface ComparedSplits {
  readonly training: 'train' | 'trainval';
  readonly measured: 'val' | 'test';
  readonly overlap: Overlap;
}

/** Holds each split that is measured on against the one that is trained on for it. @throws the signal's reason */
export async function compareSplits(splits: ReadSplits, signal?: AbortSignal): Promise<ComparedSplits[]> {
  const compared: ComparedSplits[] = [];
  for (const [training, measured] of pairsOf(splits)) {
    const overlap = await findOverlap(splits[training]!, splits[measured]!, signal);
    compared.push({ training, measured, overlap });
  }
  return compared;
}

/**
 * Images that are in training and in what is measured on, and classes that nothing is learnt of or measured on. Where there is
 * none of either, one note says that it was looked for.
 * @param classes their names, by label
 */
export function dataNotes(
  classes: readonly string[],
  splits: ReadSplits,
  compared: readonly ComparedSplits[],
): DataNote[] {
  const notes = classNotes(classes, splits);
  for (const { overlap, measured } of compared) notes.push(...overlapNotes(overlap, measured));
  return notes.length > 0 || compared.length === 0 ? notes : [cleanNote(splits, compared)];
}

function cleanNote(splits: ReadSplits, compared: readonly ComparedSplits[]): DataNote {
  const pairs = compared.map(({ training, measured, overlap }) => {
    const counts = [overlap.measured, splits[training]!.count].map((count) => count.toLocaleString('en'));
    return `none of ${counts[0]} ${measured} images is among the ${counts[1]} of ${training}`;
  });
  const how = compared.every(({ overlap }) => overlap.whole)
    ? 'by file, pixels or looks'
    : 'by file (for all pixels they are too many)';
  return {
    code: 'data.checked',
    text: `Checked: ${pairs.join(', ')}, ${how}; every class has images to learn from and to be tested on.`,
  };
}

/** The note of a data set with the counts that are left after what cannot be read. */
export function noteAfterReading(note: string, splits: ReadSplits): string {
  const stores = Object.entries(splits);
  const unreadable = new Set(stores.flatMap(([, { skipped }]) => skipped.map(({ name }) => name))).size;
  if (unreadable === 0) return note;
  const counts = stores.map(([split, { count }]) => `${count} ${split}`).join(', ');
  return `${note} ${unreadable} ${unreadable === 1 ? 'image' : 'images'} could not be read; used: ${counts}.`;
}

/** `val` lies within `trainval`, so the two are not compared. */
function pairsOf(splits: ReadSplits): ['train' | 'trainval', 'val' | 'test'][] {
  const pairs: ['train' | 'trainval', 'val' | 'test'][] = [];
  if (splits.train && splits.val) pairs.push(['train', 'val']);
  if (splits.test && splits.trainval) pairs.push(['trainval', 'test']);
  else if (splits.test && splits.train) pairs.push(['train', 'test']);
  return pairs;
}

function classNotes(classes: readonly string[], { train, trainval, test }: ReadSplits): DataNote[] {
  const notes: DataNote[] = [];
  const training = trainval ?? train;
  const unlearnt = new Set<string>();
  for (const [purpose, store] of [
    ['training', training],
    ['test', test],
  ] as const) {
    if (!store) continue;
    const seen = new Set(store.labels);
    const absent = classes.filter((name, label) => !seen.has(label) && !unlearnt.has(name));
    if (purpose === 'training') for (const name of absent) unlearnt.add(name);
    if (absent.length === 0) continue;
    const numbered = purpose === 'training' && absent.length === 1 && absent[0] === '0' && classes[0] === '0';
    const names = absent.slice(0, SHOWN).map(printable).join(', ') + (absent.length > SHOWN ? ', …' : '');
    const what = `${absent.length} of ${classes.length} classes ${absent.length === 1 ? 'has' : 'have'} no ${purpose} images that can be read: ${names}`;
    notes.push({ code: 'data.classes', text: numbered ? `${what}; labels are counted from 0` : what });
  }
  return notes;
}

function overlapNotes(overlap: Overlap, measured: string): DataNote[] {
  const notes: DataNote[] = [];
  const tell = (code: DataNoteCode, { count, example }: Likeness, how: string, advice: string) => {
    if (example === null) return;
    const [own, other] = example.map(printable);
    const such = own === other ? `such as ${own}` : `such as ${own} and ${other}`;
    const those = `${count} of ${overlap.measured} ${measured} images ${how} (${such})`;
    notes.push({ code, text: `${those}; ${advice}` });
  };
  const seen = 'what is measured on them is memory, take them out of one of the two';
  tell('data.overlap', overlap.sameFile, 'are training images byte for byte', seen);
  tell('data.overlap', overlap.samePixels, 'have the pixels of training images', seen);
  tell('data.alike', overlap.alike, 'look almost like training images', 'where it is one picture, take it out of one');
  return notes;
}
