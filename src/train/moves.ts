/**
 * Whether training images are moved where the settings leave it to the data: moving them is worth more than any other change where
 * images are few, and takes away what is to be learned where classes depend on where on the picture something is.
 *
 * That is read from the frozen features, before anything is trained. Ridge regression that was made without an image tells how far
 * its own class stands above the others; and the same for the image moved. Where that stands for what is on the picture, most of it
 * is left; where it stands for the place, it goes.
 */
import { imageChange } from '../data/augment.js';
import { IdatError } from '../errors.js';
import type { Runtime } from '../runtime/runtime.js';
import { MOVED_BY, type RunPlan } from '../settings/plan.js';
import type { Resolved } from '../settings/record.js';
import type { ModelSpec } from '../step/model.js';
import type { Pair } from '../step/roles.js';
import { meanColour } from './batches.js';
import { cholesky, choleskySolve, dot } from './cholesky.js';
import { allOutputs, type LoadedModel, loadModel, refuseDiverged } from './evaluate.js';
import { type ModelInputs, pixelInputs } from './inputs.js';
import type { RunControl } from './progress.js';
import type { Pixels } from './splits.js';

/** Images that are looked at, at most: evenly spaced ones. */
const IMAGES = 256;
/** How often each is moved. */
const VIEWS = 8;
/** λ in shares of the mean of the eigenvalues that are not 0. No one of them is chosen: their mean varies less. */
const LAMBDAS = [1e-3, 1e-2, 1e-1, 1];
/**
 * From which share of what tells the classes apart images are not moved: without it, the classes would be places for the most
 * part. docs/presets.md has the shares of 17 data sets.
 */
const LOST = 1 / 3;
/** By how many standard errors it must be more than nothing. */
const STANDARD_ERRORS = 2;

/** Features [N, D] of images as they are, and as they are moved, and the class of each image. */
export interface MovedFeatures {
  readonly plain: Float32Array;
  readonly moved: readonly Float32Array[];
  readonly labels: ArrayLike<number>;
}

/** What moving takes from the features. */
export interface MovingLoss {
  /** Share of the score of an image's own class that is gone: 0 nothing, 1 all. */
  readonly lost: number;
  /** The mean loss of score in its standard errors over images. */
  readonly standardErrors: number;
}

/**
 * The plan with training images moved or not, where the settings leave it to the data; otherwise the plan as it is.
 *
 * @param specs of the run's models, of which the student's backbone looks
 * @throws IdatError `run.interrupted` when the signal was aborted; `train.diverged` when features are not numbers
 */
export async function withMoves(
  plan: RunPlan,
  runtime: Runtime,
  { student }: Pair<ModelSpec>,
  pixels: Pixels,
  control: RunControl,
): Promise<RunPlan> {
  if (!plan.movesIfHarmless) return plan;
  const decided = (cropPadding: number): RunPlan => ({
    ...plan,
    movesIfHarmless: false,
    augmentation: { ...plan.augmentation, cropPadding },
  });
  if (plan.models.student.scratch) return decided(MOVED_BY); // random weights know nothing of classes
  const { lost, standardErrors } = movingLoss(await movedFeatures(plan, runtime, student, pixels, control));
  const harmful = lost > LOST && standardErrors > STANDARD_ERRORS;
  const takes = `${Math.round(100 * Math.max(0, lost))} % from what the frozen features know of the classes`;
  const unsure = lost > LOST && !harmful ? ', though so few images cannot tell for sure' : '';
  const event = harmful
    ? {
        text: `training images are not moved: that would take ${takes}, which seem to depend on where things are`,
        code: 'moves.none' as const,
      }
    : { text: `training images are moved by up to an eighth of their side: that takes ${takes}${unsure}` };
  control.onProgress?.({ kind: 'note', ...event });
  return decided(harmful ? 0 : MOVED_BY);
}

/** What a run's record keeps of it. */
export const movesRecord = (
  { augmentation: { cropPadding } }: Pick<RunPlan, 'augmentation'>,
  asked: Pick<RunPlan, 'movesIfHarmless'>,
): Pick<Resolved, 'cropPadding'> => (asked.movesIfHarmless ? { cropPadding } : {});

async function movedFeatures(
  plan: RunPlan,
  runtime: Runtime,
  student: ModelSpec,
  pixels: Pixels,
  { onProgress, signal }: RunControl,
): Promise<MovedFeatures> {
  const split = plan.protocol.train;
  const frozen: ModelSpec = { ...student, method: 'linear', methodOptions: {}, dropPath: 0, dropTokens: 0 };
  const all = pixelInputs(pixels[split]!.student, frozen);
  const count = Math.min(IMAGES, all.count);
  const chosen = Array.from({ length: count }, (_, i) => Math.floor((i * all.count) / count));
  const labels = chosen.map((image) => all.labels[image]!);
  const model = await loadModel(runtime, frozen, { images: count, features: true, ...plan.compile });
  try {
    const parameters = model.layout.initial(plan.seed, 'student');
    const total = count * (VIEWS + 1);
    const view = async (epoch: number): Promise<Float32Array> => {
      const change =
        epoch === 0
          ? null
          : imageChange(
              { flip: false, cropPadding: MOVED_BY, trivialAugment: false },
              meanColour(frozen),
              { seed: plan.seed, phase: 'moves', epoch },
              frozen.backbone.config.imageSize,
            );
      const inputs: ModelInputs = {
        count,
        labels: Int32Array.from(labels),
        read: (indices) =>
          all.read(
            indices.map((i) => chosen[i]!),
            change,
          ),
      };
      return rowsOf(model, inputs, parameters, (done) => {
        if (signal?.aborted) throw new IdatError('run.interrupted', 'stopped before training began; nothing was lost');
        onProgress?.({ kind: 'evaluate', done: epoch * count + done, total, split });
      });
    };
    const plain = await view(0);
    const moved: Float32Array[] = [];
    for (let epoch = 1; epoch <= VIEWS; epoch++) moved.push(await view(epoch));
    return { plain, moved, labels };
  } finally {
    await model.close();
  }
}

async function rowsOf(
  model: LoadedModel,
  inputs: ModelInputs,
  parameters: Float32Array,
  onDone: (images: number) => void,
): Promise<Float32Array> {
  let rows: Float32Array | undefined;
  for await (const { start, values } of allOutputs(model, inputs, parameters)) {
    refuseDiverged(values, 'the features of the training images');
    const width = values.length / Math.min(model.batch, inputs.count - start);
    rows ??= new Float32Array(inputs.count * width);
    rows.set(values, start * width);
    onDone(Math.min(start + model.batch, inputs.count));
  }
  return rows!;
}

/**
 * How much of what tells classes apart is gone where images are moved.
 *
 * With features less their mean x, K = XXᵀ, one-hot targets Y less theirs and C = K + λI, ridge regression answers k(z)ᵀα + ȳ for
 * features z, with α = C⁻¹Y and k(z) = Xz. What it answers without image i: at x_i, y_i − α_i/(C⁻¹)_ii; at that image moved, z,
 * k(z)ᵀα + ȳ − (k(z)ᵀC⁻¹)_i·α_i/(C⁻¹)_ii. The score of an answer is how far the image's own class lies above the mean of all
 * classes, in standard deviations of theirs.
 *
 * @see Rifkin and Lippert 2007, MIT-CSAIL-TR-2007-025, for the answer without an image
 */
export function movingLoss({ plain, moved, labels }: MovedFeatures): MovingLoss {
  const count = labels.length;
  const width = plain.length / count;
  const classes = [...new Set(Array.from(labels))];
  const own = Array.from(labels, (label) => classes.indexOf(label));
  const mean = new Float64Array(width);
  for (const [at, value] of plain.entries()) mean[at % width]! += value / count;
  const rowsOf = (features: Float32Array) =>
    Array.from({ length: count }, (_, i) => Float64Array.from(mean, (m, d) => features[i * width + d]! - m));
  const rows = rowsOf(plain);
  const views = moved.map(rowsOf);
  const kernel = rows.map((row) => Float64Array.from(rows, (other) => dot(row, other)));
  const kernels = views.map((view) => view.map((row) => Float64Array.from(rows, (other) => dot(row, other))));
  const shares = classes.map((_, k) => own.filter((one) => one === k).length / count);
  const scale = kernel.reduce((sum, row, i) => sum + row[i]!, 0) / Math.max(1, Math.min(count - 1, width));

  const before = new Float64Array(count);
  const after = new Float64Array(count);
  for (const share of LAMBDAS) {
    const inverse = inverseOf(kernel, share * scale || 1);
    const alpha = classes.map((_, k) =>
      Float64Array.from(inverse, (row) =>
        dot(
          row,
          Float64Array.from(own, (one) => (one === k ? 1 : 0) - shares[k]!),
        ),
      ),
    );
    for (let i = 0; i < count; i++) {
      const without = alpha.map((one) => one[i]! / inverse[i]![i]!);
      const here = without.map((part, k) => (own[i] === k ? 1 : 0) - part);
      before[i]! += score(here, own[i]!) / LAMBDAS.length;
      for (const view of kernels) {
        const reach = dot(view[i]!, inverse[i]!);
        const there = alpha.map((one, k) => dot(view[i]!, one) + shares[k]! - reach * without[k]!);
        after[i]! += score(there, own[i]!) / LAMBDAS.length / views.length;
      }
    }
  }
  const known = meanOf(before);
  const gone = before.map((value, i) => value - after[i]!);
  const average = meanOf(gone);
  const spread = Math.sqrt(meanOf(gone.map((value) => (value - average) ** 2)));
  if (known <= 0 || spread === 0) return { lost: 0, standardErrors: 0 };
  return { lost: average / known, standardErrors: (average * Math.sqrt(count)) / spread };
}

function inverseOf(kernel: readonly Float64Array[], lambda: number): Float64Array[] {
  const n = kernel.length;
  const shifted = new Float64Array(n * n);
  for (const [i, row] of kernel.entries()) shifted.set(row, i * n);
  for (let i = 0; i < n; i++) shifted[i * n + i]! += lambda;
  const lower = cholesky(shifted, n);
  return kernel.map((_, i) => {
    const unit = new Float64Array(n);
    unit[i] = 1;
    return choleskySolve(lower, unit);
  });
}

function score(answers: readonly number[], own: number): number {
  const mean = meanOf(answers);
  const variance = meanOf(answers.map((value) => (value - mean) ** 2));
  return variance > 0 ? (answers[own]! - mean) / Math.sqrt(variance) : 0;
}

function meanOf(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
}
