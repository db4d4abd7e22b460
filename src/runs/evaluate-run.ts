/** Measuring a finished run on data. */
import { resolve } from 'node:path';
import { type Dataset, openDataset } from '../data/node/index.js';
import { IdatError } from '../errors.js';
import { checkInt8 } from '../runtime/check-int8.js';
import { withRuntime } from '../runtime/node/start.js';
import type { ProtocolName } from '../settings/protocols.js';
import { evaluate, loadModel, type Score } from '../train/evaluate.js';
import { pixelInputs } from '../train/inputs.js';
import type { RunOptions } from './classifier.js';
import { openRun } from './open-run.js';
import { withPixels } from './pixels.js';
import { noteUnfinished } from './unfinished.js';

export interface RunEvaluation extends Score {
  split: 'test';
  /** The data set looked at. */
  data: string;
  /** How the run chose what it kept. */
  protocol: ProtocolName;
  /** Whether the run has ended; otherwise what it has so far was measured. */
  finished: boolean;
  /** Images of the split that could not be read, and do not count. */
  leftOut: number;
}

/**
 * Top-1 of a run's student on the test split.
 * @param options.data another data set with the same classes; default: the run's own
 * @param options.cacheDir folder for decoded images; default: none. The run's own setting is not followed: a run may come from a
 *   stranger, who must not choose where this machine writes
 * @throws IdatError as `openRun`; `data.classes` when the data set has other classes
 */
export async function evaluateRun(
  runDir: string,
  options: RunOptions & { data?: string; cacheDir?: string } = {},
): Promise<RunEvaluation> {
  const run = await openRun(runDir);
  await noteUnfinished(run, options);
  const { plan, record } = run;
  const model = await run.model('student', options);
  const dataset = await openDataset(resolve(options.data ?? plan.data), { seed: plan.seed });
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
    const engine = {
      device: options.device ?? record.resolved.device,
      threads: options.threads ?? record.resolved.threads,
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
      return { ...score, split: test, data: source, protocol: plan.protocol.name, finished, leftOut };
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
