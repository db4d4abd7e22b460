/** Running a compiled step on the reference's batches, and holding its gradients against the reference's. */
import type { Program, WeightSink } from '../graph/emit.js';
import type { Feed, Runtime, Session } from '../runtime/runtime.js';
import { addInto, pieces } from '../step/micro-batch.js';
import type { TrainableLayout } from '../step/model.js';
import { ROLES, type Role } from '../step/roles.js';
import type { Call } from '../train/batches.js';
import { type Batch, broken, type Tensors, tensorPairs } from './directory.js';
import { type Deviation, relative } from './row.js';

export const everyIndex = (batch: Batch): number[] => [...batch.labels.keys()];

/**
 * The images at `indices` as training's loop is given a batch: in calls of `microBatch`.
 * @param roles the models that read them
 * @param multipliers of drop path, for each image of one call
 */
export function callsOf(
  roles: readonly Role[],
  data: Batch,
  indices: readonly number[],
  microBatch: number,
  multipliers: Partial<Record<Role, Float32Array>> = {},
): Call[] {
  const imageSize = data.images.length / data.labels.length;
  const outside = indices.find((index) => index >= data.labels.length);
  if (outside !== undefined)
    throw broken(`trajectory.json: a batch names image ${outside}, but there are ${data.labels.length}`);
  return pieces(indices.length, microBatch).map(({ positions, weights }) => {
    const chosen = positions.map((position) => indices[position]!);
    const images = new Float32Array(chosen.length * imageSize);
    chosen.forEach((index, i) => {
      images.set(data.images.subarray(index * imageSize, (index + 1) * imageSize), i * imageSize);
    });
    const labels = BigInt64Array.from(chosen, (index) => BigInt(data.labels[index]!));
    const feeds: Record<string, Feed> = { labels, weights };
    for (const role of roles) {
      feeds[`${role}.images`] = images;
      if (multipliers[role]) feeds[`${role}.dropPath`] = multipliers[role];
    }
    return { feeds, labels, weights };
  });
}

/**
 * All outputs of a step for the images at `indices`, those of its calls added up, which gives the batch's losses and
 * gradients. (Logits only mean something when there is one call.)
 */
export async function runBatch(
  session: Session,
  parameters: Partial<Record<Role, Float32Array>>,
  data: Batch,
  indices: readonly number[],
  microBatch: number,
  multipliers: Partial<Record<Role, Float32Array>> = {},
): Promise<Record<string, Float32Array>> {
  const roles = ROLES.filter((role) => parameters[role]);
  const fed = Object.fromEntries(roles.map((role) => [`${role}.parameters`, parameters[role]!]));
  let sums: Record<string, Float32Array> | undefined;
  for (const { feeds } of callsOf(roles, data, indices, microBatch, multipliers)) {
    const outputs = await session.run({ ...feeds, ...fed });
    if (!sums) sums = outputs;
    else for (const [name, sum] of Object.entries(sums)) addInto(sum, outputs[name]!);
  }
  return sums!;
}

/** Compiles for the runtime, and closes the session when `work` has ended. */
export async function withSession<Built extends { readonly program: Program }, T>(
  runtime: Runtime,
  build: (sink: WeightSink) => Built,
  work: (session: Session, built: Built) => Promise<T>,
): Promise<T> {
  let built: Built | undefined;
  const session = await runtime.load((sink) => {
    built = build(sink);
    return built.program;
  });
  try {
    return await work(session, built!);
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
