/**
 * From pixels to what the step eats: the order of an epoch, its batches, and each batch's micro-batches.
 */
import { setImmediate } from 'node:timers/promises';
import { normaliseInto, type PixelStore } from '../data/index.js';
import { randomStream } from '../random.js';
import type { Feed } from '../runtime/runtime.js';
import { dropPathMultipliers } from './drop-path.js';
import { pieces } from './micro-batch.js';
import type { SplitPixels } from './pixels.js';
import type { Phase } from './progress.js';
import type { Role } from './state.js';
import type { ModelSpec } from './step.js';

/** One call of the step, but for the parameters. */
export interface MicroBatch {
  feeds: Record<string, Feed>;
  labels: BigInt64Array;
  weights: Float32Array;
}

export interface EpochPlan {
  data: SplitPixels;
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

/** The batches of an epoch from `firstStep` on, each as its micro-batches. */
export async function* epochBatches(plan: EpochPlan): AsyncGenerator<MicroBatch[]> {
  const { data, models, batchSize, microBatch, seed, phase, epoch, firstStep } = plan;
  const order = epochOrder(data.student.count, batchSize, seed, phase, epoch);
  for (let step = firstStep; step < order.length; step++) {
    const indices = order[step]!;
    const batch: MicroBatch[] = pieces(batchSize, microBatch).map(({ positions, weights }) => {
      const labels = BigInt64Array.from(positions, (at) => BigInt(data.student.labels[indices[at]!]!));
      return { feeds: { labels, weights }, labels, weights };
    });
    for (const role of ['student', 'teacher'] as const) {
      const model = models[role];
      const store = data[role];
      if (!model || !store) continue;
      const images = await readImages(store, indices, model);
      const multipliers = branchMultipliers(model, batchSize, seed, role, phase, epoch, step);
      pieces(batchSize, microBatch).forEach(({ positions }, i) => {
        const { feeds } = batch[i]!;
        feeds[`${role}.images`] = pickRows(images, batchSize, positions);
        if (multipliers) feeds[`${role}.dropPath`] = pickColumns(multipliers, batchSize, positions);
      });
    }
    yield batch;
  }
}

/** Normalised as the model's weights were trained: [n, 3, size, size]. */
export async function readImages(
  store: PixelStore,
  indices: readonly number[],
  { backbone: { mean, std } }: Pick<ModelSpec, 'backbone'>,
): Promise<Float32Array> {
  const planar = await store.read(indices);
  const images = new Float32Array(planar.length);
  const length = planar.length / indices.length;
  for (let start = 0; start < planar.length; start += length) {
    normaliseInto(planar.subarray(start, start + length), mean, std, images, start);
  }
  return images;
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
  return dropPathMultipliers(backbone.config.depth, dropPath, images, randomStream(seed, 'drop-path', role, ...when));
}

/** [rows, …] -> [positions, …] */
function pickRows(values: Float32Array, rows: number, positions: readonly number[]): Float32Array {
  const length = values.length / rows;
  const picked = new Float32Array(positions.length * length);
  positions.forEach((row, i) => {
    picked.set(values.subarray(row * length, (row + 1) * length), i * length);
  });
  return picked;
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
