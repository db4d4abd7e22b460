/**
 * Where the time of a step goes: a few steps under the runtime's profiler, each second put down to a kernel, to the way
 * between here and the runtime, or to what is done here.
 */
import { labelIn } from '../graph/label.js';
import type { ProfiledRun } from '../runtime/kernel-times.js';
import type { Runtime, Session } from '../runtime/runtime.js';
import { withWeightFile } from '../runtime/weight-file.js';
import { ahead, type EpochPlan, epochBatches, type MicroBatch, nextBatch } from './batches.js';
import { type FineTuneSettings, variantName } from './config.js';
import { checkFinite, runStep } from './fit.js';
import type { SplitInputs } from './inputs.js';
import type { TunedModels } from './run-directory.js';
import { learningRate } from './schedule.js';
import { optimizersOf, type Prefixes, type Specs, stepOf, tunedModels } from './setup.js';
import { initialState, type Role, type TrainState } from './state.js';

/** At most so many steps, and none begun after so long: a step of ViT-B takes some 15 seconds on two cores. */
const MAX_STEPS = 5;
const MAX_MS = 20_000;

/** The kernels of one op kind in one part of one model, in one direction. */
export interface KernelShare {
  /** ONNX operator type, the runtime's fused ones included. */
  readonly op: string;
  readonly role: Role | null;
  /** Room and part, such as `backbones.attention`; null where the runtime made a node that tells no origin. */
  readonly part: string | null;
  readonly backward: boolean;
  /** Milliseconds a step. */
  readonly ms: number;
}

/** What a step does outside the kernels, in milliseconds. */
export interface OutsideKernels {
  /** Inside the runtime: choosing the next kernel, finding its memory. */
  readonly scheduling: number;
  /** Images and parameters to the worker, gradients back. */
  readonly copying: number;
  /** Adding up micro-batches, counting hits, looking for NaN. */
  readonly summing: number;
  readonly optimizer: number;
  /** For images that were not ready in time. */
  readonly waiting: number;
}

/** profile.json. All times are means over the steps; kernels and what is outside them add up to `stepMs`. */
export interface StepProfile {
  readonly format: 'idat-profile-1';
  readonly models: string;
  readonly variant: string;
  readonly device: string;
  readonly threads: number;
  readonly batchSize: number;
  readonly microBatch: number;
  readonly steps: number;
  /** Whether what the models' frozen prefixes compute was at hand, as it is from the second epoch on. */
  readonly prefix: boolean;
  /** Wall-clock of one step while the profiler runs. */
  readonly stepMs: number;
  readonly kernels: readonly KernelShare[];
  readonly outside: OutsideKernels;
  /** Reading and normalising a batch; happens beside the step and is no part of it. */
  readonly readingMs: number;
}

/** Runs a few steps from the starting values; nothing of a run is touched. */
export async function profileSteps(
  runtime: Runtime,
  settings: FineTuneSettings,
  specs: Specs,
  prefixes: Prefixes,
  microBatch: number,
  data: SplitInputs,
): Promise<StepProfile> {
  const { step, session } = await withWeightFile(async (sink) => {
    const built = stepOf(settings, specs, prefixes, microBatch, sink);
    return { step: built, session: await runtime.loadProfiled(built.program) };
  });
  try {
    const batchSize = Math.min(settings.batchSize, data.student.count);
    const plan = { data, models: specs, batchSize, microBatch, seed: settings.seed };
    for await (const _ of firstBatches(plan)); // from now on what frozen prefixes compute is at hand
    const times = await timeSteps(session, tunedModels(specs, step), settings, firstBatches(plan));
    const runs = (await session.kernelTimes()).slice(1); // without the one that warmed up
    const perStep = (ms: number) => ms / times.steps;
    const inRuntime = runs.reduce((sum, run) => sum + run.elapsedMs, 0);
    const inKernels = runs.flatMap((run) => run.kernels).reduce((sum, kernel) => sum + kernel.ms, 0);
    return {
      format: 'idat-profile-1',
      models: [specs.student, specs.teacher].map((model) => model?.backbone.name ?? 'no teacher').join(', '),
      variant: variantName(settings),
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
        copying: perStep(times.running - inRuntime),
        summing: perStep(times.total - times.waiting - times.running - times.optimizer),
        optimizer: perStep(times.optimizer),
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

/** The training loop's steps with a clock beside each part; in milliseconds over all steps. */
async function timeSteps(
  session: Session,
  models: TunedModels,
  settings: FineTuneSettings,
  source: AsyncGenerator<MicroBatch>,
) {
  const times = { steps: 0, total: 0, waiting: 0, reading: 0, running: 0, optimizer: 0 };
  const layouts = { student: models.student.layout, teacher: models.teacher?.layout ?? null };
  const state = initialState('final', settings.seed, layouts);
  const optimizers = optimizersOf(settings, layouts, state);
  const timedSession: Session = {
    ...session,
    run: async (feeds) => {
      const started = performance.now();
      const outputs = await session.run(feeds);
      times.running += performance.now() - started;
      return outputs;
    },
  };

  const calls = ahead(withClock(source, (ms) => (times.reading += ms)));
  const waitedFor = (batch: AsyncGenerator<MicroBatch>) => withClock(batch, (ms) => (times.waiting += ms));
  try {
    await warmUp(session, calls, state);
    times.reading = 0;
    for (let began = performance.now(); ; began = performance.now()) {
      const { losses, gradients } = await runStep(timedSession, waitedFor(nextBatch(calls)), state);
      checkFinite(losses, gradients, models, state);
      const computed = performance.now();
      for (const role of ['student', 'teacher'] as const) {
        optimizers[role]?.step(state[role]!.parameters, gradients[role]!, learningRate(0, settings));
      }
      times.optimizer += performance.now() - computed;
      times.total += performance.now() - began;
      if (++times.steps === MAX_STEPS || times.total > MAX_MS) return times;
    }
  } finally {
    await calls.return(undefined);
  }
}

/** Runs the first call, which sets up the runtime's memory, and leaves out the rest of its batch. */
async function warmUp(
  session: Session,
  calls: AsyncIterator<MicroBatch>,
  state: Pick<TrainState, 'student' | 'teacher'>,
) {
  let first = true;
  for await (const call of nextBatch(calls)) {
    if (first) await runStep(session, [call], state);
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
