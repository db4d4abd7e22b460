/**
 * What all contestants compute, as files in one folder: the frozen backbones, the starting values of what is trained,
 * and a batch of images with labels.
 */
import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Backbone } from '../src/backbones/backbone.js';
import { backboneFromFile } from '../src/backbones/node/checkpoint.js';
import { writeFileAtomic } from '../src/files/node/atomic-write.js';
import { openSafetensors } from '../src/files/node/safetensors-file.js';
import { encodeSafetensors, type TensorSource } from '../src/files/safetensors.js';
import { randomStream } from '../src/random.js';
import type { Distillation } from '../src/step/distillation.js';
import { buildForward } from '../src/step/forward.js';
import type { ModelSpec, TrainableLayout } from '../src/step/model.js';

export const ADAPTERS = ['parallel', 'sequential'] as const;
export type AdapterName = (typeof ADAPTERS)[number];
export const ROLES = ['student', 'teacher'] as const;
export type RoleName = (typeof ROLES)[number];

/** The batch of the paper's recipe. */
export const BATCH_SIZE = 32;
export const CLASSES = 100;
const IMAGE_SHAPE = [3, 224, 224] as const;
export const IMAGE_LENGTH = 3 * 224 * 224;
const SEED = 1;

export const DISTILLATION: Distillation = { loss: 'kl', temperature: 5, alpha: 1, beta: 1, gradient: 'both' };

export const backbonePath = (folder: string, role: RoleName): string => join(folder, `${role}.safetensors`);
const batchPath = (folder: string): string => join(folder, 'batch.safetensors');

export function modelSpec(backbone: Backbone, adapter: string): ModelSpec {
  return { backbone, method: adapter, methodOptions: { hidden: 4, scale: 0.1 }, classes: CLASSES, dropPath: 0 };
}

export async function openBackbones(folder: string): Promise<Record<RoleName, Backbone>> {
  const [student, teacher] = await Promise.all(ROLES.map((role) => backboneFromFile(backbonePath(folder, role))));
  return { student: student!, teacher: teacher! };
}

/** The trained tensors at their start: the values idat itself would begin with. */
export const initialParameters = (layout: TrainableLayout, role: RoleName): Float32Array => layout.initial(SEED, role);

export interface Batch {
  /** [BATCH_SIZE, 3, 224, 224], standard normal. */
  images: Float32Array;
  labels: BigInt64Array;
}

export async function readBatch(folder: string): Promise<Batch> {
  const file = await openSafetensors(batchPath(folder));
  try {
    const labels = await file.read('labels');
    return { images: await file.readFloat32('images'), labels: labels.data as BigInt64Array };
  } finally {
    await file.close();
  }
}

/**
 * Writes what is missing.
 * @param makeWeights writes both backbones into the folder; called when they are not there
 */
export async function makeProblem(folder: string, makeWeights: () => Promise<void>): Promise<void> {
  await mkdir(folder, { recursive: true });
  const present = await Promise.all(ROLES.map((role) => exists(backbonePath(folder, role))));
  if (!present.every(Boolean)) await makeWeights();
  await writeBatch(folder);
  const backbones = await openBackbones(folder);
  for (const role of ROLES) {
    for (const adapter of ADAPTERS) {
      const { layout } = buildForward({ model: modelSpec(backbones[role], adapter), batch: 1 });
      const tensors = asTensors(layout, initialParameters(layout, role));
      await writeFileAtomic(join(folder, `${role}.${adapter}.safetensors`), encodeSafetensors(tensors));
    }
  }
}

async function writeBatch(folder: string): Promise<void> {
  const random = randomStream(SEED, 'batch');
  const images = Float32Array.from({ length: BATCH_SIZE * IMAGE_LENGTH }, () => random.normal());
  const labels = BigInt64Array.from({ length: BATCH_SIZE }, () => BigInt(random.below(CLASSES)));
  const tensors: TensorSource[] = [
    { name: 'images', shape: [BATCH_SIZE, ...IMAGE_SHAPE], data: images },
    { name: 'labels', shape: [BATCH_SIZE], data: labels },
  ];
  await writeFileAtomic(batchPath(folder), encodeSafetensors(tensors));
}

/** A flat vector as its named tensors. */
export function asTensors({ slots }: TrainableLayout, values: Float32Array, prefix = ''): TensorSource[] {
  return slots.map(({ name, shape, offset, size }) => ({
    name: prefix + name,
    shape,
    data: values.subarray(offset, offset + size),
  }));
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
