/** Telling what a run is about to train on. */
import { compareSplits, dataNotes, noteAfterReading, type ReadSplits } from '../data/data-notes.js';
import type { Dataset } from '../data/dataset.js';
import type { RunControl } from './progress.js';
import type { Pixels } from './splits.js';

/**
 * Tells where the splits came from, what was left out, and what should be known before time is spent.
 * @returns the data set's note, with what could be read
 */
export async function tellOfData(
  dataset: Pick<Dataset, 'note' | 'classes'>,
  pixels: Pixels,
  { onProgress, signal }: RunControl,
): Promise<string> {
  const splits: ReadSplits = Object.fromEntries(Object.entries(pixels).map(([split, { student }]) => [split, student]));
  const note = noteAfterReading(dataset.note, splits);
  onProgress?.({ kind: 'note', text: note });
  const compared = await compareSplits(splits, signal);
  for (const found of dataNotes(dataset.classes, splits, compared)) onProgress?.({ kind: 'note', ...found });
  return note;
}
