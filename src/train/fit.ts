/**
 * The training loop: rate, batches, update, look, save.
 */
import { distillationWeight } from '../distill/index.js';
import { IdatError } from '../errors.js';
import { ahead } from '../runtime/ahead.js';
import type { Feed, Spent } from '../runtime/runtime.js';
import type { ObjectivePlan, SchedulePlan, TrainingPlan } from '../settings/plan.js';
import type { EpochTiming } from '../settings/record.js';
import { familiarity, familiarityQuantiles } from '../statistics/energy.js';
import type { TunedModel } from '../step/model.js';
import { mapPair, type Pair } from '../step/roles.js';
import type { AdamW } from './adamw.js';
import { epochBatches, nextBatch } from './batches.js';
import type { Steps } from './compiled.js';
import { evaluate, type LoadedModel, type Score } from './evaluate.js';
import type { ModelInputs, SplitInputs } from './inputs.js';
import { bestEpoch, epochMetrics, meansOf, patienceIsOver } from './metrics.js';
import type { RunControl } from './progress.js';
import { learningRate } from './schedule.js';
import { layoutsOf } from './specs.js';
import { emptySums, type TrainState, takeIntoAverage } from './state.js';
import { stepClock } from './step-clock.js';
import type { Store } from './store.js';
import { LOSS_NAMES, updateStep } from './update-step.js';

/** A run under way. */
export interface Run {
  readonly plan: TrainingPlan;
  readonly microBatch: number;
  readonly models: Pair<TunedModel>;
  readonly steps: Steps;
  student(): Promise<LoadedModel>;
  readonly store: Store;
  readonly timings: EpochTiming[];
  readonly control: RunControl;
  readonly checkSources?: (() => Promise<void>) | undefined;
  readonly onCalls?: OnCalls | undefined;
}

/**
 * Told what the calls of each update took, those with patches left out where some are.
 * @param firstEpoch of this sitting, in which frozen prefixes are computed beside them
 */
export type OnCalls = (spent: Spent, firstEpoch: boolean) => void;

/** One pass through a protocol's epochs. */
export interface PhasePlan {
  readonly data: SplitInputs;
  /** Train up to and without this epoch. */
  readonly epochs: number;
  /** The split to measure the student on after every so many epochs. */
  readonly look: { split: 'val' | 'test'; data: ModelInputs; every: number; keepBest: boolean } | null;
  /** Epochs without a better one on what is looked at, after which the phase ends; 0 or left out: it does not. */
  readonly patience?: number;
  /** The epoch from which on the student's parameters are averaged; null or left out: they are not. */
  readonly averageFrom?: number | null;
}

/** Trains from where `state` is to the end of its phase, saving after each epoch. */
export async function trainPhase(
  run: Run,
  state: TrainState,
  optimizers: Pair<AdamW>,
  phase: PhasePlan,
): Promise<void> {
  const { plan, control } = run;
  const { seed, augmentation, optimiser, tokens, balance } = plan;
  const { patience = 0, averageFrom = null } = phase;
  const ended = () =>
    patienceIsOver(state.metrics, state.phase, { patience, warmupEpochs: plan.schedule.warmupEpochs });
  const batchSize = Math.min(plan.batch.size, phase.data.student.count);
  const steps = Math.floor(phase.data.student.count / batchSize);
  const from = { epoch: state.epoch, step: state.step };
  const pace = stepClock({ from, epochs: phase.epochs, steps, batchSize, tokens });
  const layouts = layoutsOf(run.models);

  while (state.epoch < phase.epochs && !ended()) {
    const started = performance.now();
    await run.checkSources?.();
    const allPatches = state.epoch >= phase.epochs - tokens.fullEpochs;
    const { session, draws } = allPatches ? await run.steps.allPatches() : run.steps.somePatches;
    const models = mapPair(run.models, ({ spec }) => (allPatches ? { ...spec, dropTokens: 0 } : spec));
    const order = { seed, phase: state.phase, epoch: state.epoch, firstStep: state.step };
    const shape = { draws, batchSize, microBatch: run.microBatch, augmentation, balance };
    const calls = ahead(epochBatches({ data: phase.data, models, ...shape, ...order }));
    const target = { session, models: { student: state.student, teacher: state.teacher }, optimizers, layouts };
    const fed = scheduledFeeds(plan.objective, state.epoch);
    const where = () => `epoch ${state.epoch}, step ${state.step} (phase ${state.phase})`;

    try {
      while (state.step < steps) {
        const lr = rateOf(plan.schedule, state.epoch, state.step / steps);
        const { clipNorm } = optimiser;
        const before = session.spent();
        const { losses, correct, agreed } = await updateStep(target, nextBatch(calls), { lr, fed, clipNorm, where });

        if (session === run.steps.somePatches.session)
          run.onCalls?.(spentSince(before, session.spent()), state.epoch === from.epoch);
        state.step++;
        state.sums.images += batchSize;
        state.sums.correct += correct.student;
        state.sums.teacherCorrect += correct.teacher;
        if (state.sums.agreed !== undefined) state.sums.agreed += agreed;
        for (const name of LOSS_NAMES) state.sums.losses[name] += losses[name] * batchSize;

        const { loss, trainAccuracy } = meansOf(state.sums);
        const position = { phase: state.phase, epoch: state.epoch, epochs: phase.epochs, step: state.step, steps };
        control.onProgress?.({ kind: 'step', ...position, losses: loss, trainAccuracy, lr, ...pace() });
        if (control.signal?.aborted) throw await interrupted(run, state);
      }
    } finally {
      await calls.return(undefined);
    }

    const look = phase.look && (state.epoch + 1) % phase.look.every === 0 ? phase.look : null;
    const seen = look && (await lookAt(run, state, look));
    const score = seen?.score;
    const lastRate = rateOf(plan.schedule, state.epoch, (steps - 1) / steps);
    state.metrics.push(
      epochMetrics(
        state,
        lastRate,
        look && { split: look.split, accuracy: score!.accuracy, familiarities: seen!.familiarities },
      ),
    );
    if (look?.keepBest) keepBest(state);
    if (averageFrom !== null && state.epoch >= averageFrom) takeIntoAverage(state);
    const seconds = (performance.now() - started) / 1000;
    run.timings.push({ phase: state.phase, epoch: state.epoch, seconds });
    state.epoch++;
    state.step = 0;
    state.sums = emptySums();
    await run.checkSources?.(); // before anything is saved that other weights have made
    await run.store.save({ state, timings: run.timings });
    const looked = look && { split: look.split, correct: score!.correct, total: score!.total };
    control.onProgress?.({ kind: 'epoch', epochs: phase.epochs, seconds, look: looked, ...state.metrics.at(-1)! });
    if (control.signal?.aborted) throw await interrupted(run, state);
  }
}

const spentSince = (before: Spent, now: Spent): Spent => ({ calls: now.calls - before.calls, ms: now.ms - before.ms });

/** The learning rate at a part of an epoch, from 0 to below 1. */
const rateOf = (schedule: SchedulePlan, epoch: number, part: number): number =>
  learningRate(epoch + (schedule.perStep ? part : 0), schedule);

/** What the step is fed that changes from epoch to epoch. */
export const scheduledFeeds = ({ weight }: ObjectivePlan, epoch: number): Record<string, Feed> =>
  weight ? { beta: Float32Array.of(distillationWeight(epoch, weight)) } : {};

/** Top-1 of the student on a split, and how familiar its images are. */
async function lookAt(
  run: Run,
  state: TrainState,
  { split, data }: NonNullable<PhasePlan['look']>,
): Promise<{ score: Score; familiarities: number[] }> {
  const { onProgress, signal } = run.control;
  const report = (done: number, total: number) => onProgress?.({ kind: 'evaluate', done, total, split });
  const familiar: number[] = [];
  const score = await evaluate(await run.student(), data, state.student.parameters, {
    of: split,
    onLogits: (logits) => familiar.push(familiarity(logits)),
    onProgress: report,
    signal,
  });
  if (!score) throw await interrupted(run, state);
  return { score, familiarities: familiarityQuantiles(familiar) };
}

/** Keeps the parameters of the epoch that just ended if it is the best so far. */
function keepBest(state: TrainState): void {
  if (bestEpoch(state.metrics, state.phase)!.epoch !== state.epoch) return;
  state.best = { student: state.student.parameters.slice(), teacher: state.teacher?.parameters.slice() ?? null };
}

/** Saves all, also in the middle of an epoch. */
export async function interrupted(
  run: Pick<Run, 'store' | 'timings' | 'checkSources'>,
  state: TrainState,
): Promise<IdatError> {
  await run.checkSources?.();
  await run.store.save({ state, timings: run.timings });
  const { place } = run.store;
  const where = `stopped after epoch ${state.epoch} step ${state.step}, with all saved in ${place}`;
  return new IdatError('run.interrupted', where, { about: { run: place } });
}
