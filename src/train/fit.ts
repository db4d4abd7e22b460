/**
 * The training loop.
 */
import { IdatError } from '../errors.js';
import type { Session } from '../runtime/runtime.js';
import type { AdamW } from './adamw.js';
import { ahead, type Call, epochBatches, nextBatch } from './batches.js';
import type { FineTuneSettings } from './config.js';
import { type Classifier, evaluate } from './evaluate.js';
import type { ModelInputs, SplitInputs } from './inputs.js';
import { epochMetrics, meansOf } from './metrics.js';
import { addInto, countCorrect } from './micro-batch.js';
import type { Losses, RunControl } from './progress.js';
import { type EpochTiming, saveRun, type TunedModels } from './run-directory.js';
import { learningRate } from './schedule.js';
import { emptySums, type Role, type TrainState } from './state.js';

/** A run under way. */
export interface Run {
  readonly dir: string;
  readonly settings: FineTuneSettings;
  readonly microBatch: number;
  readonly models: TunedModels;
  /** The compiled step. */
  readonly step: Session;
  classifier(): Promise<Classifier>;
  readonly timings: EpochTiming[];
  readonly control: RunControl;
}

/** One pass through a protocol's epochs. */
export interface PhasePlan {
  readonly data: SplitInputs;
  /** Train up to and without this epoch. */
  readonly epochs: number;
  /** The split to measure the student on after every epoch. */
  readonly look: { split: 'val' | 'test'; data: ModelInputs; keepBest: boolean } | null;
}

/** Trains from where `state` is to the end of its phase, saving after each epoch. */
export async function trainPhase(
  run: Run,
  state: TrainState,
  optimizers: Record<Role, AdamW | null>,
  plan: PhasePlan,
): Promise<void> {
  const { settings, control } = run;
  const models = { student: run.models.student.spec, teacher: run.models.teacher?.spec ?? null };
  const batchSize = Math.min(settings.batchSize, plan.data.student.count);
  const steps = Math.floor(plan.data.student.count / batchSize);
  const clock = startClock((plan.epochs - state.epoch) * steps - state.step, batchSize);

  while (state.epoch < plan.epochs) {
    const started = performance.now();
    const lr = learningRate(state.epoch, settings);
    const order = { seed: settings.seed, phase: state.phase, epoch: state.epoch, firstStep: state.step };
    const calls = ahead(epochBatches({ data: plan.data, models, batchSize, microBatch: run.microBatch, ...order }));

    try {
      while (state.step < steps) {
        const { losses, gradients, correct } = await runStep(run.step, nextBatch(calls), state);
        checkFinite(losses, gradients, run.models, state);
        optimizers.student!.step(state.student.parameters, gradients.student!, lr);
        if (state.teacher) optimizers.teacher!.step(state.teacher.parameters, gradients.teacher!, lr);

        state.step++;
        state.sums.images += batchSize;
        state.sums.correct += correct.student;
        state.sums.teacherCorrect += correct.teacher;
        for (const name of LOSSES) state.sums.losses[name] += losses[name] * batchSize;

        const { loss, trainAccuracy } = meansOf(state.sums);
        const position = { phase: state.phase, epoch: state.epoch, epochs: plan.epochs, step: state.step, steps };
        control.onProgress?.({ kind: 'step', ...position, losses: loss, trainAccuracy, lr, ...clock.tick() });
        if (control.signal?.aborted) throw await interrupted(run, state);
      }
    } finally {
      await calls.return(undefined);
    }

    const accuracy = plan.look && (await lookAt(run, state, plan.look));
    state.metrics.push(epochMetrics(state, lr, plan.look && { split: plan.look.split, accuracy: accuracy! }));
    if (plan.look?.keepBest) keepBest(state);
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

const LOSSES = ['student', 'teacher', 'distill', 'total'] as const;

/** Losses and gradients of a batch: the sums over its micro-batches. */
export async function runStep(
  session: Session,
  batch: AsyncIterable<Call> | Iterable<Call>,
  models: { student: { parameters: Float32Array }; teacher: { parameters: Float32Array } | null },
) {
  const losses: Losses = { student: 0, teacher: 0, distill: 0, total: 0 };
  const gradients: Partial<Record<Role, Float32Array>> = {};
  const correct = { student: 0, teacher: 0 };
  const parameters = {
    'student.parameters': models.student.parameters,
    ...(models.teacher && { 'teacher.parameters': models.teacher.parameters }),
  };
  for await (const { feeds, labels, weights } of batch) {
    const outputs = await session.run({ ...feeds, ...parameters });
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
    const at = gradients[role]?.findIndex((value) => !Number.isFinite(value)) ?? -1;
    if (at < 0) continue;
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

function startClock(stepsToDo: number, batchSize: number) {
  const started = performance.now();
  let done = 0;
  return {
    tick: () => {
      done++;
      const secondsPerStep = (performance.now() - started) / 1000 / done;
      return { secondsLeft: secondsPerStep * (stepsToDo - done), imagesPerSecond: batchSize / secondsPerStep };
    },
  };
}
