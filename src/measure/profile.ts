/**
 * Where the time of a step goes: a few steps under the runtime's profiler, each second put down to a kernel, to the way
 * between here and the runtime, or to what is done here.
 */
import { labelIn } from '../graph/label.js';
import type { KernelShare, StepProfile } from '../report/profile-record.js';
import { ahead } from '../runtime/ahead.js';
import type { ProfiledRun } from '../runtime/kernel-times.js';
import type { Feed, Runtime, Session } from '../runtime/runtime.js';
import type { RunPlan } from '../settings/plan.js';
import type { ModelSpec, TunedModel } from '../step/model.js';
import type { Pair, Role } from '../step/roles.js';
import type { TrainStep } from '../step/train-step.js';
import { type EpochPlan, epochBatches, type MicroBatch, nextBatch } from '../train/batches.js';
import { scheduledFeeds } from '../train/fit.js';
import type { SplitInputs } from '../train/inputs.js';
import { learningRate } from '../train/schedule.js';
import { layoutsOf, optimizersOf, type Prefixes, stepOf, tunedModels } from '../train/specs.js';
import { initialState } from '../train/state.js';
import { batchGradients, type UpdateClock, type UpdateTarget, updateStep } from '../train/update-step.js';

/** What of a plan a profile runs. */
type ProfiledPlan = Pick<
  RunPlan,
  'variant' | 'seed' | 'objective' | 'compile' | 'schedule' | 'optimiser' | 'augmentation' | 'batch'
>;

/** At most so many steps, and none begun after so long: a step of ViT-B takes some 15 seconds on two cores. */
const MAX_STEPS = 5;
const MAX_MS = 20_000;

/** Runs a few steps from the starting values; nothing of a run is touched. */
export async function profileSteps(
  runtime: Runtime,
  plan: ProfiledPlan,
  specs: Pair<ModelSpec>,
  prefixes: Prefixes,
  microBatch: number,
  data: SplitInputs,
): Promise<StepProfile> {
  let built: TrainStep | undefined;
  const session = await runtime.loadProfiled((sink) => {
    built = stepOf(plan, specs, prefixes, microBatch, sink);
    return built.program;
  });
  const step = built!;
  try {
    const batchSize = Math.min(plan.batch.size, data.student.count);
    const shape = { draws: step.draws, batchSize, microBatch, augmentation: plan.augmentation };
    const epoch = { data, models: specs, ...shape, seed: plan.seed };
    for await (const _ of firstBatches(epoch)); // from now on what frozen prefixes compute is at hand
    const times = await timeSteps(session, tunedModels(specs, step), plan, firstBatches(epoch));
    const runs = (await session.kernelTimes()).slice(1); // without the one that warmed up
    const perStep = (ms: number) => ms / times.steps;
    const inRuntime = runs.reduce((sum, run) => sum + run.elapsedMs, 0);
    const inKernels = runs.flatMap((run) => run.kernels).reduce((sum, kernel) => sum + kernel.ms, 0);
    return {
      format: 'idat-profile-1',
      models: [specs.student, specs.teacher].map((model) => model?.backbone.name ?? 'no teacher').join(', '),
      variant: plan.variant,
      device: runtime.device,
      threads: runtime.threads,
      batchSize,
      microBatch,
      steps: times.steps,
      prefix: prefixes.student !== null || prefixes.teacher !== null,
      stepMs: perStep(times.total),
      kernels: kernelShares(runs, times.steps),
      outside: {
        scheduling: perStep(inRuntime - inKernels),
        copying: perStep(times.run - inRuntime),
        summing: perStep(times.total - times.waiting - times.run - times.optimise),
        optimizer: perStep(times.optimise),
        waiting: perStep(times.waiting),
      },
      readingMs: perStep(times.reading),
    };
  } finally {
    await session.close();
  }
}

/** The first batch to warm up with, and then as many as are timed; where an epoch has fewer, it comes again. */
async function* firstBatches(plan: Omit<EpochPlan, 'phase' | 'epoch' | 'firstStep'>): AsyncGenerator<MicroBatch> {
  for (let left = 1 + MAX_STEPS; left > 0; ) {
    for await (const call of epochBatches({ ...plan, phase: 'final', epoch: 0, firstStep: 0 })) {
      yield call;
      if (call.last && --left === 0) return;
    }
  }
}

/** The training loop's updates with a clock beside each part; in milliseconds over all steps. */
async function timeSteps(
  session: Session,
  models: Pair<TunedModel>,
  plan: ProfiledPlan,
  source: AsyncGenerator<MicroBatch>,
) {
  const times = { steps: 0, total: 0, waiting: 0, reading: 0, run: 0, optimise: 0 };
  const layouts = layoutsOf(models);
  const state = initialState('final', plan.seed, layouts);
  const optimizers = optimizersOf(plan, layouts, state);
  const target: UpdateTarget = { session, models: state, optimizers, layouts };
  const fed = scheduledFeeds(plan.objective, 0);
  const clock: UpdateClock = async (part, work) => {
    const started = performance.now();
    const outcome = await work();
    times[part] += performance.now() - started;
    return outcome;
  };
  const { clipNorm } = plan.optimiser;
  const options = { lr: learningRate(0, plan.schedule), fed, clipNorm, where: () => 'while profiling', clock };

  const calls = ahead(withClock(source, (ms) => (times.reading += ms)));
  const waitedFor = (batch: AsyncGenerator<MicroBatch>) => withClock(batch, (ms) => (times.waiting += ms));
  try {
    await warmUp(target, calls, fed);
    times.reading = 0;
    for (let began = performance.now(); ; began = performance.now()) {
      await updateStep(target, waitedFor(nextBatch(calls)), options);
      times.total += performance.now() - began;
      if (++times.steps === MAX_STEPS || times.total > MAX_MS) return times;
    }
  } finally {
    await calls.return(undefined);
  }
}

/** Runs the first call, which sets up the runtime's memory, and leaves out the rest of its batch. */
async function warmUp({ session, models }: UpdateTarget, calls: AsyncIterator<MicroBatch>, fed: Record<string, Feed>) {
  let first = true;
  for await (const call of nextBatch(calls)) {
    if (first) await batchGradients(session, [call], models, fed);
    first = false;
  }
}

async function* withClock<T>(source: AsyncGenerator<T>, add: (ms: number) => void): AsyncGenerator<T> {
  for (;;) {
    const started = performance.now();
    const { value, done } = await source.next();
    add(performance.now() - started);
    if (done) return;
    yield value;
  }
}

/** Sums kernels of the same kind and origin; the largest first. */
export function kernelShares(runs: readonly ProfiledRun[], steps: number): KernelShare[] {
  const shares = new Map<string, KernelShare>();
  for (const { name, op, ms } of runs.flatMap((run) => run.kernels)) {
    const label = labelIn(name);
    const origin = {
      op,
      role: (label?.role as Role | undefined) ?? null,
      part: label?.part ?? null,
      backward: label?.backward ?? false,
    };
    const key = JSON.stringify(origin);
    shares.set(key, { ...origin, ms: (shares.get(key)?.ms ?? 0) + ms / steps });
  }
  return [...shares.values()].sort((a, b) => b.ms - a.ms);
}
