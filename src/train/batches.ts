/**
 * From a split to what the step eats: the order of an epoch, its batches, and each batch's micro-batches.
 */
import { blocks, droppablePatches } from '../backbones/architecture.js';
import { type Augmentation, type ImageChange, imageChange } from '../data/augment.js';
import { methodByName } from '../methods/index.js';
import { randomStream } from '../random.js';
import type { Feed } from '../runtime/runtime.js';
import type { Phase } from '../settings/record.js';
import { pieces } from '../step/micro-batch.js';
import { type ModelSpec, SECOND_PASS } from '../step/model.js';
import { type Pair, ROLES, type Role } from '../step/roles.js';
import { drawn } from '../step/scope.js';
import { keptPatchCount, keptPatches } from '../step/token-dropping.js';
import type { TrainStep } from '../step/train-step.js';
import { dropPathMultipliers } from './drop-path.js';
import type { SplitInputs } from './inputs.js';

/** One call of the step, but for the parameters. */
export interface Call {
  feeds: Record<string, Feed>;
  labels: BigInt64Array;
  weights: Float32Array;
}

/** A piece of a batch. */
export interface MicroBatch extends Call {
  /** Whether its batch ends with it. */
  last: boolean;
}

export interface EpochPlan {
  data: SplitInputs;
  models: Pair<ModelSpec>;
  /** What each model draws at random in every step. */
  draws: TrainStep['draws'];
  batchSize: number;
  microBatch: number;
  /** Null or left out: images as they are. */
  augmentation?: Augmentation | null;
  seed: number;
  phase: Phase;
  epoch: number;
  /** Batches already worked through. */
  firstStep: number;
}

/** The images of each batch of an epoch: shuffled, and those that fill no whole batch left out. */
export function epochOrder(count: number, batchSize: number, seed: number, phase: Phase, epoch: number): number[][] {
  const order = randomStream(seed, 'order', phase, epoch).shuffled(Array.from({ length: count }, (_, i) => i));
  return Array.from({ length: Math.floor(count / batchSize) }, (_, step) =>
    order.slice(step * batchSize, (step + 1) * batchSize),
  );
}

/**
 * The batches of an epoch from `firstStep` on, one micro-batch after the other: no more of a batch is read at a time than
 * one call of the step needs.
 */
export async function* epochBatches(plan: EpochPlan): AsyncGenerator<MicroBatch> {
  const { data, models, draws, batchSize, microBatch, seed, phase, epoch, firstStep } = plan;
  const order = epochOrder(data.student.count, batchSize, seed, phase, epoch);
  const roles = ROLES.filter((role) => models[role]);
  const changes = roles.map((role) => changeOf(plan, models[role]!));
  const calls = pieces(batchSize, microBatch);
  for (let step = firstStep; step < order.length; step++) {
    const multipliers = roles.map((role) =>
      branchMultipliers(models[role]!, batchSize, seed, role, phase, epoch, step),
    );
    for (const [call, { positions, weights }] of calls.entries()) {
      const indices = positions.map((at) => order[step]![at]!);
      const labels = BigInt64Array.from(indices, (index) => BigInt(data.student.labels[index]!));
      const feeds: Record<string, Feed> = { labels, weights };
      for (const [i, role] of roles.entries()) {
        const inputs = await data[role]!.read(indices, changes[i]);
        for (const [name, values] of Object.entries(inputs)) feeds[`${role}.${name}`] = values;
        for (const [name, values] of multipliers[i]!)
          feeds[`${role}.${name}`] = pickColumns(values, batchSize, positions);
        for (const draw of draws[role]) {
          feeds[`${role}.${draw.name}`] = drawn(draw, positions, (...purpose) =>
            randomStream(seed, 'draw', role, phase, epoch, step, ...purpose),
          );
        }
        const kept = patchesKept(models[role]!, indices, seed, role, phase, epoch);
        if (kept) feeds[`${role}.keptPatches`] = kept;
      }
      yield { feeds, labels, weights, last: call === calls.length - 1 };
    }
  }
  // now rather than one by one in the epochs in which they do come
  const leftOut = leftOver(data.student.count, order);
  for (const inputs of [data.student, data.teacher]) await inputs?.prepare?.(leftOut);
}

/** The micro-batches of the next batch. */
export async function* nextBatch(source: AsyncIterator<MicroBatch>): AsyncGenerator<MicroBatch> {
  for (;;) {
    const { value, done } = await source.next();
    if (done) return;
    yield value;
    if (value.last) return;
  }
}

/** The images that no batch has. */
function leftOver(count: number, order: readonly number[][]): number[] {
  const seen = new Set(order.flat());
  return Array.from({ length: count }, (_, i) => i).filter((i) => !seen.has(i));
}

/**
 * Drop path's inputs, by name, for each pass over the images.
 * Drawn for the whole batch at once, so that the size of micro-batches does not change them.
 */
function branchMultipliers(
  { dropPath, backbone, method }: ModelSpec,
  images: number,
  seed: number,
  role: Role,
  ...when: (string | number)[]
): [name: string, multipliers: Float32Array][] {
  if (dropPath === 0) return [];
  const depth = blocks(backbone.config).length;
  const draw = (...pass: string[]) =>
    dropPathMultipliers(depth, dropPath, images, randomStream(seed, 'drop-path', role, ...when, ...pass));
  if (!methodByName(method).consistency) return [['dropPath', draw()]];
  return [
    ['dropPath', draw()],
    [`${SECOND_PASS}.dropPath`, draw(SECOND_PASS)],
  ];
}

/** How an epoch's images of a model are changed: what is outside them has the mean colour, which is 0 for the model. */
function changeOf({ augmentation, ...pass }: EpochPlan, model: ModelSpec): ImageChange | null {
  if (!augmentation) return null;
  const grey = model.backbone.mean.map((mean) => Math.round(255 * mean));
  return imageChange(augmentation, grey, pass, model.backbone.config.imageSize);
}

function patchesKept(
  { dropTokens = 0, backbone: { config } }: ModelSpec,
  indices: readonly number[],
  seed: number,
  ...when: (string | number)[]
): BigInt64Array | null {
  if (dropTokens === 0) return null;
  const patches = droppablePatches(config);
  return keptPatches(indices, patches, keptPatchCount(patches, dropTokens), seed, ...when);
}

/** […, columns] -> […, positions] */
function pickColumns(values: Float32Array, columns: number, positions: readonly number[]): Float32Array {
  const width = positions.length;
  return Float32Array.from(
    { length: (values.length / columns) * width },
    (_, i) => values[Math.floor(i / width) * columns + positions[i % width]!]!,
  );
}
