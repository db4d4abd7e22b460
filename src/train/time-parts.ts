/** How long the parts of a run take: a call of each of its programs, on its own images. Nothing of the run is changed by it. */
import type { PixelStore } from '../data/pixels.js';
import { size } from '../graph/tensor.js';
import type { Feed } from '../runtime/runtime.js';
import type { RunPlan } from '../settings/plan.js';
import { mapPair, ROLES } from '../step/roles.js';
import { epochBatches } from './batches.js';
import type { Compiled } from './compiled.js';
import { type ModelInputs, pixelInputs } from './inputs.js';
import { type LoadedPrefix, MemoryBudget, openPrefixStore, type PrefixFiles } from './prefix-store.js';
import { type Pixels, sharesPrefix } from './splits.js';
import type { TrainState } from './state.js';
import { batchGradients } from './update-step.js';

/** What is timed: a run ready to go. */
export interface TimedRun {
  readonly plan: RunPlan;
  readonly compiled: Compiled;
  readonly microBatch: number;
  readonly pixels: Pixels;
  readonly prefixFiles: PrefixFiles | null;
}

/** Seconds. */
export interface PartTimes {
  /** An update: its micro-batches and the optimisers' part. */
  readonly update: number;
  /** What the frozen parts of both models make of an image, once for all epochs. */
  readonly prefixes: number;
  /** The student's answer to an image whose prefix is at hand. */
  readonly answer: number;
  /** What the frozen part of the student makes of an image to be evaluated on, once. */
  readonly evaluationPrefix: number;
}

/** A program's first call is slower, so that it is not timed alone, unless it takes so long. */
const ONCE_SECONDS = 5;
/** Otherwise calls are timed for so long, but no more often than that. */
const ENOUGH_SECONDS = 0.5;
const TIMES = 5;
/** AdamW's part for one number. */
const OPTIMISE_SECONDS = 6e-9;
/** Of a step, what its forward pass takes. */
const FORWARD_SHARE = 0.4;

/** @param fed what the step is fed that changes from epoch to epoch */
export async function timeParts(
  run: TimedRun,
  state: Pick<TrainState, 'student' | 'teacher' | 'phase'>,
  fed: Readonly<Record<string, Feed>>,
): Promise<PartTimes> {
  const { plan, compiled, microBatch, pixels, prefixFiles } = run;
  const { models, prefixes, steps } = compiled;
  const stores = pixels[plan.protocol.train]!;
  const { session, draws } = steps.somePatches;
  const batchSize = Math.min(plan.batch.size, stores.student.count);
  const student = await timePrefix(stores.student, prefixes.student, prefixFiles);
  const shared = sharesPrefix(plan, prefixes);
  const teacher = stores.teacher && !shared ? await timePrefix(stores.teacher, prefixes.teacher, prefixFiles) : 0;
  const same = prefixes.evaluation?.session === prefixes.student?.session;
  const evaluationPrefix = same ? student : await timePrefix(stores.student, prefixes.evaluation, prefixFiles);

  const inputsOf = (store: PixelStore, role: 'student' | 'teacher') => {
    const prefix = prefixes[role];
    return prefix ? blankInputs(store, prefix) : pixelInputs(store, models[role]!.spec);
  };
  const batches = epochBatches({
    data: mapPair(stores, inputsOf),
    models: mapPair(models, ({ spec }) => spec),
    ...{ draws, batchSize, microBatch, augmentation: plan.augmentation },
    ...{ seed: plan.seed, phase: state.phase, epoch: 0, firstStep: 0 },
  });
  const { value: call } = await batches.next();
  await batches.return(undefined);
  const together = Math.max(1, session.atOnce - 1); // of several copies, one more call waits for its turn
  const calls = Array.from({ length: together }, () => call!);
  const perCall = (await secondsOf(() => batchGradients(session, calls, state, fed))) / together;
  const numbers = ROLES.reduce((sum, role) => sum + (models[role]?.layout.size ?? 0), 0);
  return {
    update: Math.ceil(batchSize / microBatch) * perCall + numbers * OPTIMISE_SECONDS,
    prefixes: student + teacher,
    answer: (FORWARD_SHARE * perCall) / microBatch,
    evaluationPrefix,
  };
}

/** Seconds that a prefix takes for an image; of one whose results are kept for later runs, as they find it. */
async function timePrefix(pixels: PixelStore, loaded: LoadedPrefix | null, files: PrefixFiles | null): Promise<number> {
  if (!loaded) return 0;
  const { batch } = loaded.prefix;
  const indices = Array.from({ length: batch }, (_, i) => Math.min(i, pixels.count - 1));
  if (!files?.lasting) {
    const feeds = await pixelInputs(pixels, loaded.model).read(indices);
    return (await secondsOf(() => loaded.session.run(feeds))) / batch;
  }
  const store = await openPrefixStore(pixels, loaded, { memory: new MemoryBudget(0), files, onProblem: () => {} });
  try {
    const started = performance.now();
    await store.read(indices);
    return (performance.now() - started) / 1000 / batch;
  } finally {
    await store.close();
  }
}

/** What a prefix would leave, without computing it: how long a product takes does not depend on its numbers. */
const blankInputs = ({ count, labels }: PixelStore, { prefix: { tensors } }: LoadedPrefix): ModelInputs => ({
  count,
  labels,
  read: async (indices) =>
    Object.fromEntries(tensors.map(({ name, shape }) => [name, new Float32Array(indices.length * size(shape))])),
});

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  let shortest = Infinity;
  let spent = 0;
  for (let time = 0; time < TIMES && spent < (time < 2 ? ONCE_SECONDS : ENOUGH_SECONDS); time++) {
    const started = performance.now();
    await work();
    const seconds = (performance.now() - started) / 1000;
    shortest = Math.min(shortest, seconds);
    spent += seconds;
  }
  return shortest;
}
