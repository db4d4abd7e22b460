/**
 * From a split to what the step eats: the order of an epoch, its batches, and each batch's micro-batches.
 */
import { setImmediate } from 'node:timers/promises';
import { blocks } from '../backbones/architecture.js';
import { randomStream } from '../random.js';
import type { Feed } from '../runtime/runtime.js';
import { dropPathMultipliers } from './drop-path.js';
import type { SplitInputs } from './inputs.js';
import { pieces } from './micro-batch.js';
import type { ModelSpec } from './model.js';
import type { Phase } from './progress.js';
import type { Role } from './state.js';

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
  models: { student: ModelSpec; teacher: ModelSpec | null };
  batchSize: number;
  microBatch: number;
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
  const { data, models, batchSize, microBatch, seed, phase, epoch, firstStep } = plan;
  const order = epochOrder(data.student.count, batchSize, seed, phase, epoch);
  const roles = (['student', 'teacher'] as const).filter((role) => models[role]);
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
        const inputs = await data[role]!.read(indices);
        for (const [name, values] of Object.entries(inputs)) feeds[`${role}.${name}`] = values;
        if (multipliers[i]) feeds[`${role}.dropPath`] = pickColumns(multipliers[i], batchSize, positions);
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

/** Drawn for the whole batch at once, so that the size of micro-batches does not change them. */
function branchMultipliers(
  { dropPath, backbone }: ModelSpec,
  images: number,
  seed: number,
  role: Role,
  ...when: (string | number)[]
): Float32Array | null {
  if (dropPath === 0) return null;
  const depth = blocks(backbone.config).length;
  return dropPathMultipliers(depth, dropPath, images, randomStream(seed, 'drop-path', role, ...when));
}

/** […, columns] -> […, positions] */
function pickColumns(values: Float32Array, columns: number, positions: readonly number[]): Float32Array {
  const width = positions.length;
  return Float32Array.from(
    { length: (values.length / columns) * width },
    (_, i) => values[Math.floor(i / width) * columns + positions[i % width]!]!,
  );
}

/** The same items, each asked for while the one before it is still being worked on. */
export async function* ahead<T>(source: AsyncGenerator<T>): AsyncGenerator<T> {
  let next = source.next();
  try {
    for (let item = await next; !item.done; item = await next) {
      next = setImmediate().then(() => source.next()); // after the runtime has got this item
      next.catch(() => {}); // reported when it is awaited
      yield item.value;
    }
  } finally {
    await next.catch(() => {});
  }
}
