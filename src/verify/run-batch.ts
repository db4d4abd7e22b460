/** Running a compiled step on the reference's batches, and holding its gradients against the reference's. */
import type { Program } from '../graph/emit.js';
import type { Feed, Runtime, Session } from '../runtime/runtime.js';
import { addInto, pieces } from '../train/micro-batch.js';
import type { TrainableLayout } from '../train/model.js';
import { type Batch, broken, type Role, type Tensors, tensorPairs } from './directory.js';
import { type Deviation, relative } from './row.js';

export const ROLES: readonly Role[] = ['student', 'teacher'];

export const everyIndex = (batch: Batch): number[] => [...batch.labels.keys()];

/**
 * Runs the images at `indices` in pieces of `microBatch` and adds the pieces' outputs up, which gives the batch's
 * losses and gradients. (Logits only mean something when there is one piece.)
 */
export async function runBatch(
  session: Session,
  parameters: Partial<Record<Role, Float32Array>>,
  data: Batch,
  indices: readonly number[],
  microBatch: number,
  multipliers: Partial<Record<Role, Float32Array>> = {},
): Promise<Record<string, Float32Array>> {
  const imageSize = data.images.length / data.labels.length;
  const outside = indices.find((index) => index >= data.labels.length);
  if (outside !== undefined)
    throw broken(`trajectory.json: a batch names image ${outside}, but there are ${data.labels.length}`);
  let sums: Record<string, Float32Array> | undefined;
  for (const { positions, weights } of pieces(indices.length, microBatch)) {
    const chosen = positions.map((position) => indices[position]!);
    const images = new Float32Array(chosen.length * imageSize);
    chosen.forEach((index, i) => {
      images.set(data.images.subarray(index * imageSize, (index + 1) * imageSize), i * imageSize);
    });
    const feeds: Record<string, Feed> = {
      labels: BigInt64Array.from(chosen, (index) => BigInt(data.labels[index]!)),
      weights,
    };
    for (const role of ROLES) {
      if (!parameters[role]) continue;
      feeds[`${role}.images`] = images;
      feeds[`${role}.parameters`] = parameters[role];
      if (multipliers[role]) feeds[`${role}.dropPath`] = multipliers[role];
    }
    const outputs = await session.run(feeds);
    if (!sums) sums = outputs;
    else for (const [name, sum] of Object.entries(sums)) addInto(sum, outputs[name]!);
  }
  return sums!;
}

export async function withSession<T>(
  runtime: Runtime,
  program: Program,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await runtime.load(program);
  try {
    return await work(session);
  } finally {
    await session.close();
  }
}

export function compareTensors(
  layout: TrainableLayout,
  role: Role,
  vector: Float32Array,
  tensors: Tensors,
  prefix: string,
): Deviation[] {
  return tensorPairs(layout, vector, tensors, prefix).map(({ name, ours, theirs }) => ({
    value: relative(ours, theirs),
    at: `${role} ${name}`,
  }));
}
