/**
 * One update, which is how Equations 4 and 5 are minimised: losses and gradients of a batch, summed over its micro-batches,
 * checked, shortened if asked for, and handed to the optimisers. Training, the profile and `verify` all run this.
 */
import { IdatError } from '../errors.js';
import { inOrder } from '../runtime/in-order.js';
import type { Feed, Session } from '../runtime/runtime.js';
import type { Losses } from '../settings/record.js';
import { addInto, countAgreed, countCorrect } from '../step/micro-batch.js';
import type { TrainableLayout } from '../step/model.js';
import { type EachRole, type Pair, ROLES } from '../step/roles.js';
import type { AdamW } from './adamw.js';
import type { Call } from './batches.js';
import { clipGradient, gradientNorm } from './gradient-norm.js';

export const LOSS_NAMES = ['student', 'teacher', 'distill', 'total'] as const satisfies (keyof Losses)[];

/** What is updated. */
export interface UpdateTarget {
  /** Of a compiled step. */
  readonly session: Session;
  /** Updated in place. */
  readonly models: Pair<{ readonly parameters: Float32Array }>;
  readonly optimizers: Pair<AdamW>;
  readonly layouts: Pair<TrainableLayout>;
}

export interface UpdateOptions {
  readonly lr: number;
  /** What else the step is fed, beside batch and parameters. */
  readonly fed?: Readonly<Record<string, Feed>>;
  /** Each model's gradient is shortened to this norm; null: it is as long as it is. */
  readonly clipNorm?: number | null;
  /** Where training stands, for messages. */
  readonly where: () => string;
  /** Told how long each part took; default: nobody looks at the time. */
  readonly clock?: UpdateClock;
}

/** Runs a part of the work and notes its time. */
export type UpdateClock = <T>(part: 'run' | 'optimise', work: () => Promise<T>) => Promise<T>;

/** What a batch came to before the update. */
export interface BatchOutcome {
  /** Means over the batch. */
  readonly losses: Losses;
  /** Images with the right class ranked first. */
  readonly correct: EachRole<number>;
  /** Images for which both models rank the same class first; 0 where no teacher teaches. */
  readonly agreed: number;
}

const untimed: UpdateClock = (_, work) => work();

/**
 * Computes a batch and updates each model once.
 * @param batch its micro-batches
 * @throws IdatError `train.diverged` at the first number that is infinite or none; nothing is updated then
 */
export async function updateStep(
  target: UpdateTarget,
  batch: AsyncIterable<Call> | Iterable<Call>,
  { lr, fed, clipNorm = null, where, clock = untimed }: UpdateOptions,
): Promise<BatchOutcome> {
  const { session, models, optimizers, layouts } = target;
  const timed: Session = { ...session, run: (feeds) => clock('run', () => session.run(feeds)) };
  const { losses, gradients, correct, agreed } = await batchGradients(timed, batch, models, fed);
  const norms = {
    student: gradientNorm(gradients.student),
    teacher: gradients.teacher && gradientNorm(gradients.teacher),
  };
  checkFinite(losses, gradients, norms, layouts, where);
  await clock('optimise', async () => {
    for (const role of ROLES) {
      const gradient = gradients[role];
      if (!gradient) continue;
      if (clipNorm !== null) clipGradient(gradient, norms[role]!, clipNorm);
      optimizers[role]!.step(models[role]!.parameters, gradient, lr);
    }
  });
  return { losses, correct, agreed };
}

/** Losses and gradients of a batch: the sums over its micro-batches. */
export async function batchGradients(
  session: Session,
  batch: AsyncIterable<Call> | Iterable<Call>,
  { student, teacher }: Pair<{ readonly parameters: Float32Array }>,
  fed: Readonly<Record<string, Feed>> = {},
): Promise<BatchOutcome & { readonly gradients: Pair<Float32Array> }> {
  const losses: Losses = { student: 0, teacher: 0, distill: 0, total: 0 };
  const gradients: Partial<Record<(typeof ROLES)[number], Float32Array>> = {};
  const correct = { student: 0, teacher: 0 };
  let agreed = 0;
  const parameters = {
    'student.parameters': student.parameters,
    ...(teacher && { 'teacher.parameters': teacher.parameters }),
  };
  const run = ({ feeds }: Call) => session.run({ ...feeds, ...parameters, ...fed });
  for await (const [{ labels, weights }, outputs] of inOrder(batch, session.atOnce, run)) {
    for (const name of LOSS_NAMES) losses[name] += outputs[`loss.${name}`]?.[0] ?? 0; // without a teacher it has no losses
    for (const role of ROLES) {
      const gradient = outputs[`${role}.gradient`];
      if (!gradient) continue;
      if (gradients[role]) addInto(gradients[role], gradient);
      else gradients[role] = gradient;
      const logits = outputs[`${role}.logits`];
      if (logits) correct[role] += countCorrect(logits, labels, weights);
    }
    const [ofStudent, ofTeacher] = [outputs['student.logits'], outputs['teacher.logits']];
    if (ofStudent && ofTeacher) agreed += countAgreed(ofStudent, ofTeacher, weights);
  }
  return { losses, gradients: { student: gradients.student!, teacher: gradients.teacher ?? null }, correct, agreed };
}

function checkFinite(
  losses: Losses,
  gradients: Pair<Float32Array>,
  norms: Pair<number>,
  layouts: Pair<TrainableLayout>,
  where: () => string,
): void {
  const fail = (what: string) => {
    throw new IdatError('train.diverged', `${where()}: ${what}; training has diverged, start again with a lower lr`);
  };
  for (const name of LOSS_NAMES) if (!Number.isFinite(losses[name])) fail(`the loss '${name}' is ${losses[name]}`);
  for (const role of ROLES) {
    const gradient = gradients[role];
    if (!gradient || Number.isFinite(norms[role])) continue; // one fast pass over all numbers
    const at = gradient.findIndex((value) => !Number.isFinite(value));
    const slot = layouts[role]!.slots.find(({ offset, size }) => at < offset + size)!;
    fail(`the ${role}'s gradient of ${slot.name} is ${gradient[at]}`);
  }
}
