/**
 * From a split to what the step eats: the order of an epoch, its batches, and each batch's micro-batches.
 */
import { blocks, droppablePatches } from '../backbones/architecture.js';
import { type Augmentation, type ImageChange, imageChange } from '../data/augment.js';
import { type Balance, balancedOrder, classWeights, copiesBefore } from '../data/balance.js';
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
  /** Default: none. */
  balance?: Balance;
  seed: number;
  phase: Phase;
  epoch: number;
  /** Batches already worked through. */
  firstStep: number;
}

/** The images of each batch of an epoch: shuffled, and those that fill no whole batch left out. */
export function epochOrder(count: number, batchSize: number, seed: number, phase: Phase, epoch: number): number[][] {
  const order = randomStream(seed, 'order', phase, epoch).shuffled(Array.from({ length: count }, (_, i) => i));
  return inBatches(order, batchSize);
}

const inBatches = <T>(items: readonly T[], size: number): T[][] =>
  Array.from({ length: Math.floor(items.length / size) }, (_, at) => items.slice(at * size, (at + 1) * size));

/** The images of each batch of an epoch, and how often each has come before in it: null where each comes once. */
function plannedOrder({ data, batchSize, balance, seed, phase, epoch }: EpochPlan) {
  const { count, labels } = data.student;
  if (balance !== 'sampling') return { order: epochOrder(count, batchSize, seed, phase, epoch), copies: null };
  const order = balancedOrder(labels, randomStream(seed, 'balanced order', phase, epoch));
  return { order: inBatches(order, batchSize), copies: inBatches(copiesBefore(order), batchSize) };
}

/**
 * The batches of an epoch from `firstStep` on, one micro-batch after the other: no more of a batch is read at a time than
 * one call of the step needs.
 */
export async function* epochBatches(plan: EpochPlan): AsyncGenerator<MicroBatch> {
  const { data, models, draws, batchSize, microBatch, seed, phase, epoch, firstStep } = plan;
  const { order, copies } = plannedOrder(plan);
  const perClass = plan.balance === 'weights' ? classWeights(data.student.labels) : null;
  const roles = ROLES.filter((role) => models[role]);
  const changes = roles.map((role) => changeOf(plan, models[role]!, role));
  const calls = pieces(batchSize, microBatch);
  for (let step = firstStep; step < order.length; step++) {
    const multipliers = roles.map((role) =>
      branchMultipliers(models[role]!, batchSize, seed, role, phase, epoch, step),
    );
    for (const [call, { positions, weights: shares }] of calls.entries()) {
      const indices = positions.map((at) => order[step]![at]!);
      const before = copies && positions.map((at) => copies[step]![at]!);
      const weights = perClass
        ? shares.map((share, i) => share * perClass.get(data.student.labels[indices[i]!]!)!)
        : shares;
      const labels = BigInt64Array.from(indices, (index) => BigInt(data.student.labels[index]!));
      const feeds: Record<string, Feed> = { labels, weights };
      for (const [i, role] of roles.entries()) {
        const inputs = await data[role]!.read(indices, changes[i], before);
        for (const [name, values] of Object.entries(inputs)) feeds[`${role}.${name}`] = values;
        for (const [name, values] of multipliers[i]!)
          feeds[`${role}.${name}`] = pickColumns(values, batchSize, positions);
        for (const draw of draws[role]) {
          feeds[`${role}.${draw.name}`] = drawn(draw, positions, (...purpose) =>
            randomStream(seed, 'draw', role, phase, epoch, step, ...purpose),
          );
        }
        const kept = patchesKept(models[role]!, indices, before, seed, role, phase, epoch);
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

/** Bytes of the colour that stands for what lies outside an image: the mean one, which is 0 for the model. */
export const meanColour = ({ backbone: { mean } }: Pick<ModelSpec, 'backbone'>): number[] =>
  mean.map((one) => Math.round(255 * one));

/** How an epoch's images of a model are changed: what is outside them has the mean colour, which is 0 for the model. */
function changeOf({ augmentation, ...pass }: EpochPlan, model: ModelSpec, role: Role): ImageChange | null {
  if (!augmentation) return null;
  return imageChange(augmentation, meanColour(model), pass, model.backbone.config.imageSize, role === 'teacher');
}

function patchesKept(
  { dropTokens = 0, backbone: { config } }: ModelSpec,
  indices: readonly number[],
  copies: readonly number[] | null,
  seed: number,
  ...when: (string | number)[]
): BigInt64Array | null {
  if (dropTokens === 0) return null;
  const patches = droppablePatches(config);
  const kept = keptPatchCount(patches, dropTokens);
  const rows = keptPatches(indices, patches, kept, seed, ...when);
  for (const [row, copy] of (copies ?? []).entries()) {
    if (copy > 0) rows.set(keptPatches([indices[row]!], patches, kept, seed, ...when, 'copy', copy), row * kept);
  }
  return rows;
}

/** […, columns] -> […, positions] */
function pickColumns(values: Float32Array, columns: number, positions: readonly number[]): Float32Array {
  const width = positions.length;
  return Float32Array.from(
    { length: (values.length / columns) * width },
    (_, i) => values[Math.floor(i / width) * columns + positions[i % width]!]!,
  );
}
