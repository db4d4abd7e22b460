/** Starting values of heads from what the models make of the training images before anything is trained. */
import type { RunPlan } from '../settings/plan.js';
import type { SplitName } from '../settings/protocols.js';
import type { HeadStart, TrainableLayout } from '../step/model.js';
import { ROLES, type Role } from '../step/roles.js';
import type { Compiled } from './compiled.js';
import { allOutputs, refuseDiverged } from './evaluate.js';
import { classMeans, type Examples, type FittedHead, ridge } from './head-fit.js';
import type { RunControl } from './progress.js';
import type { Splits } from './splits.js';
import type { TrainState } from './state.js';

const FITS: Readonly<Partial<Record<HeadStart, (examples: Examples) => FittedHead>>> = {
  'class-means': classMeans,
  ridge,
};

/**
 * Fits the heads of a state in which nothing has been trained yet, each model's to its own features: those that the head
 * reads, of images as they are, made with the starting values of all that the tuning method adds. Does nothing where the
 * plan does not ask for it, and where training has begun.
 *
 * @param split the images that the phase trains on
 * @returns false when the signal was aborted before the end; the heads are as they were, or half of them are fitted
 * @throws IdatError `train.diverged` when features are not numbers
 */
export async function fitHeads(
  { plan, compiled, control }: { plan: Pick<RunPlan, 'models'>; compiled: Compiled; control: RunControl },
  state: TrainState,
  splits: Splits,
  split: SplitName,
): Promise<boolean> {
  const { head } = plan.models.student;
  const fitHead = FITS[head];
  if (!fitHead || state.epoch > 0 || state.step > 0) return true;
  for (const role of ROLES) {
    const tuned = compiled.models[role];
    if (!tuned) continue;
    const { parameters } = state[role]!;
    const examples = await examplesOf(compiled, role, parameters, splits, split, control);
    if (!examples) return false;
    const fitted = fitHead({ ...examples, classes: tuned.spec.classes });
    writeHead(tuned.layout, parameters, fitted);
    const { factor, lambda } = fitted;
    const numbers = [
      ...(lambda === undefined ? [] : [`λ ${lambda.toPrecision(3)}`]),
      `factor ${factor.toPrecision(3)}`,
    ];
    control.onProgress?.({ kind: 'note', text: `the ${role}'s head starts from ${head} (${numbers.join(', ')})` });
  }
  return true;
}

/** Null when the signal was aborted. */
async function examplesOf(
  compiled: Compiled,
  role: Role,
  parameters: Float32Array,
  splits: Splits,
  split: SplitName,
  { onProgress, signal }: RunControl,
): Promise<Omit<Examples, 'classes'> | null> {
  const { model, prefix } = await compiled.features(role);
  try {
    const inputs = await splits.reading(split, role, prefix);
    const rows: Float32Array[] = [];
    for await (const { start, values } of allOutputs(model, inputs, parameters)) {
      if (signal?.aborted) return null;
      refuseDiverged(values, `the features of the ${split} images`);
      rows.push(values);
      onProgress?.({ kind: 'evaluate', done: Math.min(start + model.batch, inputs.count), total: inputs.count, split });
    }
    const features = new Float32Array(rows.reduce((sum, { length }) => sum + length, 0));
    let end = 0;
    for (const row of rows) {
      features.set(row, end);
      end += row.length;
    }
    return { features, labels: inputs.labels };
  } finally {
    await model.close();
  }
}

function writeHead({ slots }: TrainableLayout, parameters: Float32Array, { weight, bias }: FittedHead): void {
  for (const { name, offset } of slots) {
    if (name === 'head.weight') parameters.set(weight, offset);
    if (name === 'head.bias') parameters.set(bias, offset);
  }
}
