/** The images on which an export is held against the engine that trained it. */
import { rgbOf } from '../data/node/image-source.js';
import type { Dataset, ImageItem, RgbImage } from '../data/node/index.js';
import { IdatError } from '../errors.js';
import { fetching } from '../runs/backbones.js';
import {
  type DataSource,
  dataOfRun,
  holdsTraining,
  openData,
  openTestData,
  type TestDataSource,
} from '../runs/data-source.js';
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
  const opened: Dataset[] = [];
  try {
    const dataset = own
      ? await openRunData(run, data as DataSource, control)
      : await openTestData(data, fetching('data', control));
    opened.push(dataset);
    const problem = otherClasses(dataset, run.classes);
    if (problem) throw problem;
    const chosen = own ? await validationOf(run, dataset, data as DataSource, opened) : { labelled: dataset.test };
    return await action(imagesOf({ others: [], ...chosen }, { orient: run.plan.images.orient, most, own, ...control }));
  } finally {
    for (const dataset of opened) await dataset.close();
  }
}

interface Chosen {
  readonly labelled: readonly ImageItem[];
  readonly others: readonly ImageItem[];
}

/** The run's validation images; of a run that keeps no list of them, those its data set has among what it trained on. */
async function validationOf(
  { plan }: OpenedRun,
  { val, trainval, test }: Dataset,
  data: DataSource,
  opened: Dataset[],
): Promise<Chosen> {
  if (val.length > 0) return { labelled: val, others: test };
  const whole = await openData(data, { seed: plan.splitSeed });
  opened.push(whole);
  const trained = new Set(trainval.map(({ name }) => name));
  return { labelled: whole.val.filter(({ name }) => trained.has(name)), others: test };
}

function imagesOf(
  { labelled, others }: Chosen,
  { orient, most, own, signal }: RunControl & { orient: boolean; most: number; own: boolean },
): CheckImages {
  const counted = labelled.slice(0, most);
  const joining = others.slice(0, Math.max(0, Math.min(most, ENOUGH) - counted.length));
  const all = [...counted.map((item) => ({ item, counts: true })), ...joining.map((item) => ({ item, counts: false }))];
  return {
    count: all.length,
    counted: own ? 'validation images, which the last training saw' : 'images',
    async *read() {
      for (const { item, counts } of all) {
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
