/** Measuring a finished run on data. */
import { IdatError } from '../errors.js';
import type { ProtocolName } from '../settings/protocols.js';
import { balancedAccuracy, calibration, classScores, confusionMatrix, topAccuracy } from '../statistics/index.js';
import { allAnswers, loadModel, type Score } from '../train/evaluate.js';
import { pixelInputs } from '../train/inputs.js';
import { openRun } from './open-run.js';
import { type TestImagesOptions, withTestImages } from './test-images.js';
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
  /** Mean over the classes of the share of each that is recognised. */
  balancedAccuracy: number;
  /** Share of images whose class is among the five most probable; null where there are no more than five. */
  top5: number | null;
  /** Expected calibration error of 15 bins: how far, on average, a probability is from the share that is right. */
  ece: number;
}

/**
 * What a run's student comes to on the run's own test images, or on what is given to measure on: its test images where it
 * has some, and otherwise all of it.
 *
 * @param options.student path of the frozen weights, where they lie elsewhere now
 * @throws IdatError as `openRun` and `withTestImages`
 */
export async function evaluateRun(runDir: string, options: TestImagesOptions = {}): Promise<RunEvaluation> {
  const run = await openRun(runDir, options.student === undefined ? {} : { student: options.student });
  await noteUnfinished(run, options);
  const { plan } = run;
  const { test } = plan.protocol;
  return withTestImages(
    run,
    options,
    false,
    async ({ models: { student: model }, pixels, runtime, source, compile }) => {
      const loaded = await loadModel(runtime, model, compile);
      const parameters = await run.parameters('student', loaded.layout);
      const answers = await allAnswers(loaded, pixelInputs(pixels.student, model), parameters, {
        of: test,
        onProgress: (done, total) => options.onProgress?.({ kind: 'evaluate', done, total, split: test }),
        signal: options.signal,
      });
      if (!answers) throw new IdatError('run.interrupted', 'stopped before all images were seen');
      const confusion = confusionMatrix(answers);
      const correct = confusion.reduce((sum, row, k) => sum + row[k]!, 0);
      const total = pixels.student.count;
      const byClass = confusion.map((row, k) => ({
        correct: row[k]!,
        total: row.reduce((sum, count) => sum + count, 0),
      }));
      return {
        ...{ correct, total, accuracy: correct / total, byClass },
        classes: run.classes,
        split: test,
        data: source,
        protocol: plan.protocol.name,
        finished: run.result !== null,
        leftOut: pixels.student.skipped.length,
        balancedAccuracy: balancedAccuracy(classScores(confusion)),
        top5: model.classes > 5 ? topAccuracy(answers, 5) : null,
        ece: calibration(answers).ece,
      };
    },
  );
}
