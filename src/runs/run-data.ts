/** The data set of a run, opened again. */
import type { Dataset } from '../data/node/index.js';
import { IdatError } from '../errors.js';
import type { RunControl } from '../train/progress.js';
import { withSplitOf } from '../train/run-split.js';
import { fetching } from './backbones.js';
import { type DataSource, nameOfData, openData } from './data-source.js';
import type { OpenedRun } from './open-run.js';
import { readSplit } from './split-file.js';

/**
 * The run's own splits, where it has kept them; tells of images that came later.
 *
 * @param data where its images are
 * @throws IdatError as `openData`, about the run; `run.changed` when images of the run are missing
 */
export async function openRunData(
  { dir, plan }: Pick<OpenedRun, 'dir' | 'plan'>,
  data: DataSource,
  control: RunControl,
): Promise<Dataset> {
  const dataset = await openData(data, { seed: plan.splitSeed }, fetchingOf(plan, data, control)).catch(
    (error: unknown) => {
      if (!(error instanceof IdatError)) throw error;
      const message = `${error.message} (the data of the run ${dir})`;
      throw new IdatError(error.code, message, { cause: error, issues: error.issues, about: { run: dir } });
    },
  );
  try {
    const split = await readSplit(dir);
    if (!split) return dataset;
    const found = withSplitOf(dir, dataset, split);
    if (found.others > 0) {
      const text = `${dataset.source}: ${found.others} image(s) are in no split of this run and are passed over`;
      control.onProgress?.({ kind: 'note', text });
    }
    return found.dataset;
  } catch (error) {
    await dataset.close();
    throw error;
  }
}

/** How a data set of the hub is fetched where it is not on this disk; not at all where the run is offline. */
const fetchingOf = ({ offline }: OpenedRun['plan'], data: DataSource, control: RunControl) =>
  offline ? undefined : fetching(nameOfData(data), control);
