/** The test images of a run, or others to measure it on, ready to be read by its models. */
import type { Dataset } from '../data/node/index.js';
import { IdatError } from '../errors.js';
import { withRuntime } from '../runtime/node/start.js';
import type { Runtime } from '../runtime/runtime.js';
import type { CompilePlan } from '../settings/plan.js';
import type { ModelSpec } from '../step/model.js';
import type { Pair } from '../step/roles.js';
import { withInt8RangeHere } from '../train/int8-range.js';
import { trainedOn } from '../train/run-split.js';
import type { SplitPixels } from '../train/splits.js';
import { fetching } from './backbones.js';
import type { RunOptions } from './classifier.js';
import { type DataSource, dataOfRun, holdsTraining, openTestData, type TestDataSource } from './data-source.js';
import { type OpenedRun, threadsOf } from './open-run.js';
import { withPixels } from './pixels.js';
import { openRunData } from './run-data.js';
import { readSplit } from './split-file.js';

export interface TestImagesOptions extends RunOptions {
  /** Another data set with the same classes; default: the run's own, of which its own test images. */
  data?: TestDataSource;
  /**
   * Folder for decoded images; default: none. The run's own setting is not followed: a run may come from a stranger, who
   * must not choose where this machine writes.
   */
  cacheDir?: string;
}

export interface TestImages {
  readonly models: Pair<ModelSpec>;
  /** At the size of each model. */
  readonly pixels: SplitPixels;
  readonly runtime: Runtime;
  /** How the run's programs are compiled here. */
  readonly compile: CompilePlan;
  /** The data set looked at: its path, or what it is called in memory. */
  readonly source: string;
}

/**
 * Opens them for `action`, with a runtime; closes all when it has ended.
 * @param teacher whether the teacher is wanted too, where there is one
 * @throws IdatError as `openRun`; `data.classes` when the data set has other classes; `run.data` when the run's own was
 *   in memory and none is given; `run.changed` when its test images are others than they were
 */
export async function withTestImages<T>(
  run: OpenedRun,
  options: TestImagesOptions,
  teacher: boolean,
  action: (images: TestImages) => Promise<T>,
): Promise<T> {
  const data = dataOfRun(run, options.data);
  const { plan, record } = run;
  const models: Pair<ModelSpec> = {
    student: await run.model('student', options),
    teacher: teacher && plan.models.teacher ? await run.model('teacher', options) : null,
  };
  // of a run on images in memory, images to train on are its own, given again
  const own = options.data === undefined || (record.data.kind === 'memory' && holdsTraining(options.data));
  const dataset = own
    ? await openRunData(run, data as DataSource, options)
    : await openTestData(data, fetching('data', options));
  const { source } = dataset;
  const { test } = plan.protocol;
  const problem = otherClasses(dataset, run.classes);
  if (problem) {
    await dataset.close();
    throw problem;
  }
  const backbones = { student: models.student.backbone, teacher: models.teacher?.backbone ?? null };
  const reading = { images: plan.images, cache: { ...plan.cache, folder: options.cacheDir ?? null } };
  return withPixels(dataset, [test], backbones, reading, options, async (opened) => {
    const pixels = opened[test]!;
    if (own) checkTestImages(run, pixels.student.fingerprint);
    else await tellOfTraining(run, pixels.student.fileHashes, options);
    const engine = {
      device: options.device ?? record.resolved.device,
      threads: options.threads ?? threadsOf(record),
    };
    return withRuntime(engine, async (runtime) => {
      const onNote = (text: string) => options.onProgress?.({ kind: 'note', text });
      const { compile } = await withInt8RangeHere(plan, runtime, onNote);
      return action({ models, pixels, runtime, source, compile });
    });
  });
}

/** Why a data set cannot be measured on; null where it can. */
export function otherClasses({ source, classes }: Dataset, expected: readonly string[]): IdatError | null {
  if (classes.length === expected.length && classes.every((name, i) => name === expected[i])) return null;
  const differing =
    classes.find((name) => !expected.includes(name)) ?? expected.find((name) => !classes.includes(name));
  const what = `its ${classes.length} classes are not the ${expected.length} of the run`;
  return new IdatError(
    'data.classes',
    `${source}: ${what} (such as ${differing ?? 'their order'}); give a data set with the same classes`,
  );
}

/** @throws IdatError `run.changed` when the run's test images are others than they were */
function checkTestImages({ dir, record, plan }: OpenedRun, now: string): void {
  const then = record.data.fingerprints[plan.protocol.test];
  if (then === undefined || then === now) return;
  const what = `the test images of ${record.data.source} are not those of this run any more`;
  throw new IdatError('run.changed', `${dir}: ${what}; put the old images back, or measure on a data set of its own`);
}

/** An accuracy on images that were trained on says little. */
async function tellOfTraining(
  { dir }: OpenedRun,
  hashes: readonly string[],
  { onProgress }: RunOptions,
): Promise<void> {
  const split = await readSplit(dir);
  const seen = split ? trainedOn(split, hashes) : 0;
  if (seen === 0) return;
  const text = `${seen} of these ${hashes.length} images were trained on: the accuracy on them says little of others`;
  onProgress?.({ kind: 'note', text });
}
