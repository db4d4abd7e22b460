/** The pixels of a data set's splits, at the size of each model. */
import { type Dataset, loadPixels, type PixelStore } from '../data/index.js';
import type { FineTuneSettings, Protocol } from './config.js';
import type { RunControl } from './progress.js';

export type SplitName = 'train' | 'val' | 'trainval' | 'test';

/** A split as both models see it: the same images in the same order. */
export interface SplitPixels {
  student: PixelStore;
  /** The student's own store where both models read the same size; null without a teacher. */
  teacher: PixelStore | null;
}

export type Pixels = Partial<Record<SplitName, SplitPixels>>;

/** The splits a protocol needs. */
export function splitsOf(protocol: Protocol): SplitName[] {
  return protocol === 'val' ? ['train', 'val', 'trainval', 'test'] : ['trainval', 'test'];
}

/**
 * Decodes what is not in the cache yet.
 * @param sizes side of each model's images
 */
export async function openPixels(
  dataset: Dataset,
  splits: readonly SplitName[],
  sizes: { student: number; teacher: number | null },
  settings: Pick<FineTuneSettings, 'orient' | 'strict' | 'cacheDir'>,
  { onProgress, signal }: RunControl,
): Promise<Pixels> {
  const pixels: Pixels = {};
  const load = (split: SplitName, size: number) =>
    loadPixels(dataset[split], {
      size,
      orient: settings.orient,
      strict: settings.strict,
      cacheDir: settings.cacheDir ?? null,
      onProgress: (done, total) => onProgress?.({ kind: 'decode', done, total }),
      ...(signal && { signal }),
    });
  try {
    for (const split of splits) {
      const student = await load(split, sizes.student);
      const both: SplitPixels = { student, teacher: null };
      pixels[split] = both;
      if (sizes.teacher === sizes.student) both.teacher = student;
      else if (sizes.teacher !== null) both.teacher = await load(split, sizes.teacher);
      report(split, student, onProgress);
    }
    return pixels;
  } catch (error) {
    await closePixels(pixels);
    throw error;
  }
}

export async function closePixels(pixels: Pixels): Promise<void> {
  const stores = new Set(
    Object.values(pixels).flatMap(({ student, teacher }) => (teacher ? [student, teacher] : [student])),
  );
  for (const store of stores) await store.close();
}

/** What tells whether the data of a run has changed: each split's images and labels. */
export function fingerprints(pixels: Pixels): Record<string, string> {
  return Object.fromEntries(Object.entries(pixels).map(([split, { student }]) => [split, student.fingerprint]));
}

function report(split: string, { skipped, cacheProblem }: PixelStore, onProgress: RunControl['onProgress']): void {
  if (cacheProblem !== null) onProgress?.({ kind: 'note', text: cacheProblem });
  if (skipped.length === 0) return;
  const [first] = skipped;
  const text = `${split}: left out ${skipped.length} unreadable image(s), such as ${first!.name} (${first!.reason})`;
  onProgress?.({ kind: 'note', text });
}
