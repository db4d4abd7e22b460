/**
 * The training loop.
 */
import { distillationWeight } from '../distill/index.js';
import { IdatError } from '../errors.js';
import { inOrder } from '../runtime/in-order.js';
import type { Feed, Session } from '../runtime/runtime.js';
import type { AdamW } from './adamw.js';
import { ahead, type Call, epochBatches, nextBatch } from './batches.js';
import type { FineTuneSettings } from './config.js';
import { type Classifier, evaluate } from './evaluate.js';
import { clipGradient, gradientNorm } from './gradient-norm.js';
import type { ModelInputs, SplitInputs } from './inputs.js';
import { epochMetrics, meansOf } from './metrics.js';
import { addInto, countCorrect } from './micro-batch.js';
import type { ModelSpec } from './model.js';
import type { Losses, RunControl } from './progress.js';
import { type EpochTiming, saveRun, type TunedModels } from './run-directory.js';
import { learningRate } from './schedule.js';
import { emptySums, type Role, type TrainState } from './state.js';
import type { TrainStep } from './step.js';
import { stepClock } from './step-clock.js';

/** A compiled step, and what it draws at random each time. */
export interface LoadedStep {
  readonly session: Session;
  readonly draws: TrainStep['draws'];
}

/** The compiled steps of a run. */
export interface Steps {
  /** With patches left out of each image, where the settings ask for that. */
  readonly usual: LoadedStep;
  /** With all of them: the same one where none are left out. */
  whole(): Promise<LoadedStep>;
  close(): Promise<void>;
}

/** A run under way. */
export interface Run {
  readonly dir: string;
  readonly settings: FineTuneSettings;
  readonly microBatch: number;
  readonly models: TunedModels;
  readonly steps: Steps;
  classifier(): Promise<Classifier>;
  readonly timings: EpochTiming[];
  readonly control: RunControl;
}

/** One pass through a protocol's epochs. */
export interface PhasePlan {
  readonly data: SplitInputs;
  /** Train up to and without this epoch. */
  readonly epochs: number;
  /** The split to measure the student on after every so many epochs. */
  readonly look: { split: 'val' | 'test'; data: ModelInputs; every: number; keepBest: boolean } | null;
}

/** Trains from where `state` is to the end of its phase, saving after each epoch. */
export async function trainPhase(
  run: Run,
  state: TrainState,
  optimizers: Record<Role, AdamW | null>,
  plan: PhasePlan,
): Promise<void> {
  const { settings, control } = run;
  const batchSize = Math.min(settings.batchSize, plan.data.student.count);
  const steps = Math.floor(plan.data.student.count / batchSize);
  const { dropTokens, fullTokenEpochs } = settings;
  const from = { epoch: state.epoch, step: state.step };
  const pace = stepClock({ from, epochs: plan.epochs, steps, batchSize, dropTokens, fullTokenEpochs });

  while (state.epoch < plan.epochs) {
    const started = performance.now();
    const lrAt = (step: number) => learningRate(state.epoch + (settings.lrPerStep ? step / steps : 0), settings);
    const whole = state.epoch >= plan.epochs - fullTokenEpochs;
    const { session, draws } = whole ? await run.steps.whole() : run.steps.usual;
    const models = { student: specOf(run, 'student', whole)!, teacher: specOf(run, 'teacher', whole) };
    const order = { seed: settings.seed, phase: state.phase, epoch: state.epoch, firstStep: state.step };
    const fed = scheduledFeeds(settings, state.epoch);
    const shape = { draws, batchSize, microBatch: run.microBatch, augmentation: settings };
    const calls = ahead(epochBatches({ data: plan.data, models, ...shape, ...order }));

    try {
      while (state.step < steps) {
        const lr = lrAt(state.step);
        const { losses, gradients, correct } = await runStep(session, nextBatch(calls), state, fed);
        checkFinite(losses, gradients, run.models, state);
        clip(gradients, settings.clipNorm);
        optimizers.student!.step(state.student.parameters, gradients.student!, lr);
        if (state.teacher) optimizers.teacher!.step(state.teacher.parameters, gradients.teacher!, lr);

        state.step++;
        state.sums.images += batchSize;
        state.sums.correct += correct.student;
        state.sums.teacherCorrect += correct.teacher;
        for (const name of LOSSES) state.sums.losses[name] += losses[name] * batchSize;

        const { loss, trainAccuracy } = meansOf(state.sums);
        const position = { phase: state.phase, epoch: state.epoch, epochs: plan.epochs, step: state.step, steps };
        control.onProgress?.({ kind: 'step', ...position, losses: loss, trainAccuracy, lr, ...pace() });
        if (control.signal?.aborted) throw await interrupted(run, state);
      }
    } finally {
      await calls.return(undefined);
    }

    const look = plan.look && (state.epoch + 1) % plan.look.every === 0 ? plan.look : null;
    const accuracy = look && (await lookAt(run, state, look));
    state.metrics.push(epochMetrics(state, lrAt(steps - 1), look && { split: look.split, accuracy: accuracy! }));
    if (look?.keepBest) keepBest(state);
    const seconds = (performance.now() - started) / 1000;
    run.timings.push({ phase: state.phase, epoch: state.epoch, seconds });
    state.epoch++;
    state.step = 0;
    state.sums = emptySums();
    await saveRun(run.dir, state, run.models, run.timings);
    control.onProgress?.({ kind: 'epoch', epochs: plan.epochs, seconds, ...state.metrics.at(-1)! });
    if (control.signal?.aborted) throw await interrupted(run, state);
  }
}

/** A model of the run as an epoch trains it. @param whole with all of its patches */
function specOf({ models }: Run, role: Role, whole: boolean): ModelSpec | null {
  const spec = models[role]?.spec ?? null;
  return spec && whole ? { ...spec, dropTokens: 0 } : spec;
}

const LOSSES = ['student', 'teacher', 'distill', 'total'] as const;

/** What the step is fed that changes from epoch to epoch. */
export function scheduledFeeds(
  { teacher, betaEnd, ...schedule }: FineTuneSettings,
  epoch: number,
): Record<string, Feed> {
  if (teacher === null || betaEnd === undefined) return {};
  return { beta: Float32Array.of(distillationWeight(epoch, { ...schedule, betaEnd })) };
}

/** Losses and gradients of a batch: the sums over its micro-batches. */
export async function runStep(
  session: Session,
  batch: AsyncIterable<Call> | Iterable<Call>,
  models: { student: { parameters: Float32Array }; teacher: { parameters: Float32Array } | null },
  fed: Readonly<Record<string, Feed>> = {},
) {
  const losses: Losses = { student: 0, teacher: 0, distill: 0, total: 0 };
  const gradients: Partial<Record<Role, Float32Array>> = {};
  const correct = { student: 0, teacher: 0 };
  const parameters = {
    'student.parameters': models.student.parameters,
    ...(models.teacher && { 'teacher.parameters': models.teacher.parameters }),
  };
  const run = ({ feeds }: Call) => session.run({ ...feeds, ...parameters, ...fed });
  for await (const [{ labels, weights }, outputs] of inOrder(batch, session.atOnce, run)) {
    for (const name of LOSSES) losses[name] += outputs[`loss.${name}`]?.[0] ?? 0; // without a teacher it has no losses
    for (const role of ['student', 'teacher'] as const) {
      const gradient = outputs[`${role}.gradient`];
      if (!gradient) continue;
      if (gradients[role]) addInto(gradients[role], gradient);
      else gradients[role] = gradient;
      const logits = outputs[`${role}.logits`];
      if (logits) correct[role] += countCorrect(logits, labels, weights);
    }
  }
  return { losses, gradients, correct };
}

/** Shortens each model's gradient. */
function clip(gradients: Partial<Record<Role, Float32Array>>, maxNorm: number | undefined): void {
  if (maxNorm === undefined) return;
  for (const gradient of Object.values(gradients)) clipGradient(gradient, gradientNorm(gradient), maxNorm);
}

/** @throws IdatError `train.diverged` at the first number that is infinite or none */
export function checkFinite(
  losses: Losses,
  gradients: Partial<Record<Role, Float32Array>>,
  models: TunedModels,
  { phase, epoch, step }: TrainState,
): void {
  const fail = (what: string) => {
    const where = `epoch ${epoch}, step ${step} (phase ${phase})`;
    throw new IdatError('train.diverged', `${where}: ${what}; training has diverged, start again with a lower lr`);
  };
  for (const name of LOSSES) if (!Number.isFinite(losses[name])) fail(`the loss '${name}' is ${losses[name]}`);
  for (const role of ['student', 'teacher'] as const) {
    const gradient = gradients[role];
    if (!gradient || Number.isFinite(gradientNorm(gradient))) continue; // one fast pass over all numbers
    const at = gradient.findIndex((value) => !Number.isFinite(value));
    const slot = models[role]!.layout.slots.find(({ offset, size }) => at < offset + size)!;
    fail(`the ${role}'s gradient of ${slot.name} is ${gradients[role]![at]}`);
  }
}

/** Top-1 of the student on a split. */
async function lookAt(run: Run, state: TrainState, { split, data }: NonNullable<PhasePlan['look']>): Promise<number> {
  const { onProgress, signal } = run.control;
  const report = (done: number, total: number) => onProgress?.({ kind: 'evaluate', done, total, split });
  const score = await evaluate(await run.classifier(), data, state.student.parameters, report, signal);
  if (!score) throw await interrupted(run, state);
  return score.accuracy;
}

/** Keeps the parameters of the epoch that just ended if no earlier one was better. */
function keepBest(state: TrainState): void {
  const accuracies = state.metrics.filter(({ phase }) => phase === state.phase).map((line) => line.testAccuracy ?? 0);
  if (accuracies.at(-1)! < Math.max(...accuracies)) return;
  state.best = { student: state.student.parameters.slice(), teacher: state.teacher?.parameters.slice() ?? null };
}

/** Saves all, also in the middle of an epoch. */
export async function interrupted(run: Pick<Run, 'dir' | 'models' | 'timings'>, state: TrainState): Promise<IdatError> {
  await saveRun(run.dir, state, run.models, run.timings);
  const where = `stopped after epoch ${state.epoch} step ${state.step}`;
  return new IdatError('run.interrupted', `${where}; go on with: idat resume ${run.dir}`);
}
