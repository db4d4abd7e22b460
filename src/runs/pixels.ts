/** The pixels of a data set's splits, at the size of each model. */

import type { Backbone } from '../backbones/backbone.js';
import { type Dataset, loadPixels } from '../data/node/index.js';
import type { PixelStore } from '../data/pixels.js';
import { IdatError } from '../errors.js';
import { type ImageSize, sameImageSize } from '../image-size.js';
import type { RunPlan } from '../settings/plan.js';
import type { SplitName } from '../settings/protocols.js';
import type { Pair } from '../step/roles.js';
import type { RunControl } from '../train/progress.js';
import type { Pixels } from '../train/splits.js';

/** What of a plan says how images are read. */
export type PixelPlan = Pick<RunPlan, 'images' | 'cache'>;

/** Opens the splits for `action`, and closes them and the data set when it has ended. */
export async function withPixels<T>(
  dataset: Dataset,
  splits: readonly SplitName[],
  { student, teacher }: Pair<Backbone>,
  plan: PixelPlan,
  control: RunControl,
  action: (pixels: Pixels) => Promise<T>,
): Promise<T> {
  try {
    const sizes = { student: student.config.imageSize, teacher: teacher?.config.imageSize ?? null };
    const pixels = await openPixels(dataset, splits, sizes, plan, control);
    try {
      return await action(pixels);
    } finally {
      await closePixels(pixels);
    }
  } catch (error) {
    if (!control.signal?.aborted || error instanceof IdatError) throw error;
    throw new IdatError('run.interrupted', 'stopped while reading the images; no training was lost', { cause: error });
  } finally {
    await dataset.close();
  }
}

/**
 * Decodes what is not in the cache yet.
 * @param sizes of each model's images
 */
async function openPixels(
  dataset: Dataset,
  splits: readonly SplitName[],
  sizes: Pair<ImageSize>,
  { images, cache }: PixelPlan,
  { onProgress, signal }: RunControl,
): Promise<Pixels> {
  const pixels: Pixels = {};
  const load = (split: SplitName, size: ImageSize) =>
    loadPixels(dataset[split], {
      size,
      ...images,
      cacheDir: cache.folder,
      onProgress: (done, total) => onProgress?.({ kind: 'decode', done, total }),
      ...(signal && { signal }),
    });
  try {
    for (const split of splits) {
      const student = await load(split, sizes.student);
      pixels[split] = { student, teacher: null };
      if (sizes.teacher !== null) {
        const teacher = sameImageSize(sizes.teacher, sizes.student) ? student : await load(split, sizes.teacher);
        pixels[split] = { student, teacher };
      }
      report(split, student, onProgress);
    }
    return pixels;
  } catch (error) {
    await closePixels(pixels);
    throw error;
  }
}

async function closePixels(pixels: Pixels): Promise<void> {
  const stores = new Set(
    Object.values(pixels).flatMap(({ student, teacher }) => (teacher ? [student, teacher] : [student])),
  );
  for (const store of stores) await store.close();
}

function report(split: string, { skipped, cacheProblem }: PixelStore, onProgress: RunControl['onProgress']): void {
  if (cacheProblem !== null) onProgress?.({ kind: 'note', text: cacheProblem });
  if (skipped.length === 0) return;
  const [first] = skipped;
  const text = `${split}: left out ${skipped.length} unreadable image(s), such as ${first!.name} (${first!.reason})`;
  onProgress?.({ kind: 'note', text });
}
