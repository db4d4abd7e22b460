/** Measuring a finished run on data. */
import type { Dataset } from '../data/node/index.js';
import { IdatError } from '../errors.js';
import { checkInt8 } from '../runtime/check-int8.js';
import { withRuntime } from '../runtime/node/start.js';
import type { ProtocolName } from '../settings/protocols.js';
import { evaluate, loadModel, type Score } from '../train/evaluate.js';
import { pixelInputs } from '../train/inputs.js';
import { fetching } from './backbones.js';
import type { RunOptions } from './classifier.js';
import { type DataSource, dataOfRun, holdsTraining, openTestData, type TestDataSource } from './data-source.js';
import { type OpenedRun, openRun, threadsOf } from './open-run.js';
import { withPixels } from './pixels.js';
import { openRunData } from './run-data.js';
import { readSplit, trainedOn } from './split-file.js';
import { noteUnfinished } from './unfinished.js';

export interface RunEvaluation extends Score {
  split: 'test';
  /** The data set looked at: its path, or what it is called in memory. */
  data: string;
  /** How the run chose what it kept. */
  protocol: ProtocolName;
  /** Whether the run has ended; otherwise what it has so far was measured. */
  finished: boolean;
  /** Names of the classes, in the order of `byClass`. */
  classes: readonly string[];
  /** Images of the split that could not be read, and do not count. */
  leftOut: number;
}

/**
 * Top-1 of a run's student on the run's own test images, or on what is given to measure on: its test images where it has
 * some, and otherwise all of it.
 *
 * @param options.data another data set with the same classes; default: the run's own, of which its own test images
 * @param options.student path of the frozen weights, where they lie elsewhere now
 * @param options.cacheDir folder for decoded images; default: none. The run's own setting is not followed: a run may come from a
 *   stranger, who must not choose where this machine writes
 * @throws IdatError as `openRun`; `data.classes` when the data set has other classes; `run.data` when the run's own was
 *   in memory and none is given
 */
export async function evaluateRun(
  runDir: string,
  options: RunOptions & { data?: TestDataSource; cacheDir?: string } = {},
): Promise<RunEvaluation> {
  const run = await openRun(runDir, options.student === undefined ? {} : { student: options.student });
  await noteUnfinished(run, options);
  const data = dataOfRun(run, options.data);
  const { plan, record } = run;
  const model = await run.model('student', options);
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
  const backbones = { student: model.backbone, teacher: null };
  const reading = { images: plan.images, cache: { ...plan.cache, folder: options.cacheDir ?? null } };
  return withPixels(dataset, [test], backbones, reading, options, async (pixels) => {
    const { fingerprint, fileHashes } = pixels[test]!.student;
    if (own) checkTestImages(run, fingerprint);
    else await tellOfTraining(run, fileHashes, options);
    const engine = {
      device: options.device ?? record.resolved.device,
      threads: options.threads ?? threadsOf(record),
    };
    return withRuntime(engine, async (runtime) => {
      if (plan.compile.frozen !== 'float32') await checkInt8(runtime);
      const loaded = await loadModel(runtime, model, plan.compile);
      const parameters = await run.parameters('student', loaded.layout);
      const report = (done: number, total: number) =>
        options.onProgress?.({ kind: 'evaluate', done, total, split: test });
      const inputs = pixelInputs(pixels[test]!.student, model);
      const score = await evaluate(loaded, inputs, parameters, {
        of: test,
        onProgress: report,
        signal: options.signal,
      });
      if (!score) throw new IdatError('run.interrupted', 'stopped before all images were seen');
      const leftOut = pixels[test]!.student.skipped.length;
      const finished = run.result !== null;
      const { protocol } = plan;
      return { ...score, classes: run.classes, split: test, data: source, protocol: protocol.name, finished, leftOut };
    });
  });
}

function otherClasses({ source, classes }: Dataset, expected: readonly string[]): IdatError | null {
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
