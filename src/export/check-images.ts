/** The images on which an export is held against the engine that trained it. */
import { rgbOf } from '../data/node/image-source.js';
import type { Dataset, ImageItem, RgbImage } from '../data/node/index.js';
import { IdatError } from '../errors.js';
import { fetching } from '../runs/backbones.js';
import { type DataSource, dataOfRun, holdsTraining, openTestData, type TestDataSource } from '../runs/data-source.js';
import type { OpenedRun } from '../runs/open-run.js';
import { openRunData } from '../runs/run-data.js';
import { otherClasses } from '../runs/test-images.js';
import type { RunControl } from '../train/progress.js';

/** Of validation images fewer than these say little of whether two engines agree: test images join them. */
const ENOUGH = 64;

export interface CheckImage {
  readonly pixels: RgbImage;
  /** Null where the image must not be counted: those of the test split have no say in what is chosen. */
  readonly label: number | null;
}

/** One after the other, as photographs are large; what cannot be read is passed over. */
export interface CheckImages {
  /** At most. */
  readonly count: number;
  /** Of those with labels, in words. */
  readonly counted: string;
  read(): AsyncGenerator<CheckImage>;
}

/**
 * Opens them for `action`: validation images of the run's own data, test images besides where those are few, or what is given.
 *
 * @param most how many to take
 * @throws IdatError as `openRunData` and `openTestData`; `data.classes`
 */
export async function withCheckImages<T>(
  run: OpenedRun,
  { data: given, most, ...control }: RunControl & { data?: TestDataSource | undefined; most: number },
  action: (images: CheckImages) => Promise<T>,
): Promise<T> {
  const data = dataOfRun(run, given);
  const own = given === undefined || (run.record.data.kind === 'memory' && holdsTraining(given));
  const dataset = own
    ? await openRunData(run, data as DataSource, control)
    : await openTestData(data, fetching('data', control));
  try {
    const problem = otherClasses(dataset, run.classes);
    if (problem) throw problem;
    return await action(imagesOf(dataset, own, run.plan.images.orient, most, control.signal));
  } finally {
    await dataset.close();
  }
}

function imagesOf(
  { val, test }: Dataset,
  own: boolean,
  orient: boolean,
  most: number,
  signal: AbortSignal | undefined,
): CheckImages {
  const labelled = (own ? val : test).slice(0, most);
  const others = own ? test.slice(0, Math.max(0, Math.min(most, ENOUGH) - labelled.length)) : [];
  const all: [ImageItem, boolean][] = [
    ...labelled.map((item): [ImageItem, boolean] => [item, true]),
    ...others.map((item): [ImageItem, boolean] => [item, false]),
  ];
  return {
    count: all.length,
    counted: own ? 'validation images' : 'images',
    async *read() {
      for (const [item, counts] of all) {
        if (signal?.aborted) throw new IdatError('run.interrupted', 'stopped; nothing was exported');
        const pixels = await readable(item, orient);
        if (pixels) yield { pixels, label: counts ? item.label : null };
      }
    },
  };
}

async function readable(item: ImageItem, orient: boolean): Promise<RgbImage | null> {
  try {
    return await rgbOf(await item.read(), { orient, name: item.name });
  } catch (error) {
    if (error instanceof IdatError) return null;
    throw error;
  }
}
