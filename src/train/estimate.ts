/**
 * What a run will take, before it begins: time from calls of its programs, memory and disk from the sizes of what is held
 * and written.
 */
import { PIXELS_IN_MEMORY, type PixelStore } from '../data/pixels.js';
import { pixelsOf } from '../image-size.js';
import type { Feed } from '../runtime/runtime.js';
import { looksEvery, type SplitName } from '../settings/protocols.js';
import type { Phase } from '../settings/record.js';
import { ROLES } from '../step/roles.js';
import { fasterWays } from './faster.js';
import { type LoadedPrefix, recordBytes, recordSize } from './prefix-store.js';
import type { Estimate } from './progress.js';
import { totalEpochs } from './schedule.js';
import { sharesPrefix } from './splits.js';
import type { TrainState } from './state.js';
import { type PartTimes, type TimedRun, timeParts } from './time-parts.js';

/** From here on it is said what would be faster. */
const LONG_SECONDS = 3600;
/** Node and the runtime by themselves. */
const BASE_BYTES = 150e6;
/** Copies of the weights: the runtime lays those of products out anew. */
const WEIGHT_COPIES = 2;
/** Of the tensors of a call, how many are there at its height. */
const ALIVE = 0.5;

/**
 * What is left of a run, from where it stands.
 * @param fed what the step is fed that changes from epoch to epoch
 */
export async function estimateRun(
  run: TimedRun,
  state: TrainState,
  fed: Readonly<Record<string, Feed>>,
): Promise<Estimate> {
  const { plan, compiled } = run;
  const times = await timeParts(run, state, fed);
  const { training, other, epochs } = timeLeftOf(run, state, times);
  const seconds = training + other;
  const images = countOf(run, plan.protocol.train) + countOf(run, plan.protocol.test);
  const faster =
    seconds > LONG_SECONDS
      ? fasterWays({
          ...{ plan, models: compiled.models, training, other, epochs, within: LONG_SECONDS },
          onePass: images * times.answer + images * times.evaluationPrefix,
        })
      : [];
  return { seconds, atMost: plan.protocol.select !== null, ...spaceOf(run), faster };
}

const countOf = ({ pixels }: TimedRun, split: SplitName): number => pixels[split]!.student.count;

/** Seconds of the epochs to come, so many of all phases, and of what is done once. */
function timeLeftOf(run: TimedRun, state: TrainState, times: PartTimes) {
  const { protocol, batch, tokens, schedule, evalEvery, augmentation } = run.plan;
  const left = { training: 0, other: 0, epochs: 0 };
  const train = (split: SplitName, phase: Phase) => {
    const images = countOf(run, split);
    const steps = Math.floor(images / Math.min(batch.size, images));
    const epochs = totalEpochs(schedule) - (state.phase === phase ? state.epoch + state.step / steps : 0);
    const allPatches = Math.min(epochs, tokens.fullEpochs);
    left.epochs += epochs;
    left.training += (epochs - allPatches + allPatches / (1 - tokens.drop)) * steps * times.update;
    // of two looks that are drawn alike, those that have come by then
    const looks = augmentation.flip ? 2 - 2 * 0.5 ** epochs : 1;
    left.other += looks * images * times.prefixes;
    return epochs;
  };
  /** @param looks while training; one more at the end of the run */
  const measure = (split: SplitName, looks: number, once = 0) => {
    const images = countOf(run, split);
    left.training += images * times.answer * looks;
    left.other += images * (times.evaluationPrefix + once * times.answer);
  };
  if (protocol.select && state.phase === 'select') {
    measure(protocol.select.look, train(protocol.select.train, 'select'));
  }
  const every = looksEvery(protocol, evalEvery);
  const epochs = train(protocol.train, 'final');
  measure(protocol.test, every > 0 ? epochs / every : 0, 1);
  return left;
}

/** Bytes held at the height of the run, and bytes written. */
function spaceOf({ plan, compiled, pixels, prefixFiles }: TimedRun): Pick<Estimate, 'memoryBytes' | 'diskBytes'> {
  const { models, prefixes, steps } = compiled;
  const copies = Math.max(1, steps.somePatches.session.atOnce - 1);
  const programs = [
    { cost: steps.somePatches.cost, copies },
    ...[...new Set([prefixes.student, prefixes.teacher, prefixes.evaluation])].map((one) => ({
      cost: one?.cost,
      copies: 1,
    })),
  ];
  let memoryBytes = BASE_BYTES;
  let diskBytes = 0;
  for (const { cost, copies } of programs) {
    if (cost) memoryBytes += copies * (WEIGHT_COPIES * cost.weightBytes + ALIVE * cost.activationBytes);
  }

  for (const store of storesOf(pixels)) {
    const bytes = store.count * 3 * pixelsOf(store.size);
    const inMemory = bytes <= PIXELS_IN_MEMORY;
    if (inMemory) memoryBytes += bytes;
    if (!store.fromCache && (!inMemory || plan.cache.folder !== null)) diskBytes += bytes;
  }

  const kept =
    (plan.augmentation.flip ? 2 : 1) *
    prefixBytes(pixels[plan.protocol.train]!, prefixes, sharesPrefix(plan, prefixes));
  memoryBytes += Math.min(kept, plan.cache.prefixBytes);
  if (prefixFiles) diskBytes += prefixFiles.lasting ? kept : Math.max(0, kept - plan.cache.prefixBytes);

  for (const role of ROLES) {
    const bytes = 4 * (models[role]?.layout.size ?? 0);
    // what is trained, its gradient, AdamW's two moments, and the best so far where the protocol keeps that
    const best = plan.protocol.keepsBest ? bytes : 0;
    memoryBytes += 4 * bytes + best;
    diskBytes += 4 * bytes + best; // the state, and the tensors by themselves
  }
  return { memoryBytes, diskBytes };
}

const storesOf = (pixels: TimedRun['pixels']): Set<PixelStore> =>
  new Set(Object.values(pixels).flatMap(({ student, teacher }) => (teacher ? [student, teacher] : [student])));

/** Of what prefixes leave of the training images. */
function prefixBytes(
  stores: { readonly student: PixelStore; readonly teacher: PixelStore | null },
  prefixes: { readonly student: LoadedPrefix | null; readonly teacher: LoadedPrefix | null },
  shared: boolean,
): number {
  return ROLES.reduce((sum, role) => {
    const prefix = shared && role === 'teacher' ? null : prefixes[role]?.prefix;
    return prefix ? sum + (stores[role]?.count ?? 0) * recordBytes(recordSize(prefix)) : sum;
  }, 0);
}
