/**
 * Backbones for measuring: the real file where it is on this disk, and otherwise random weights of the same sizes. How
 * long a step takes does not depend on the values.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tensorShapes } from '../backbones/architecture.js';
import type { Backbone, BackboneSizes } from '../backbones/backbone.js';
import { type KnownBackbone, knownBackbone } from '../backbones/known-backbones.js';
import { backboneFromFile } from '../backbones/node/checkpoint.js';
import { resolveBackbone } from '../backbones/node/registry.js';
import { IdatError } from '../errors.js';
import { safetensorsPieces, type TensorSource } from '../files/safetensors.js';
import { size } from '../graph/tensor.js';
import { randomStream } from '../random.js';
import type { ModelPlan } from '../settings/plan.js';

export interface MeasurableBackbone {
  readonly backbone: Backbone;
  readonly random: boolean;
}

/** Runs `action` with a folder for random weights, which is gone afterwards. */
export async function withWeightsFolder<T>(action: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'idat-bench-'));
  try {
    return await action(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * @param folder where random weights may be written
 * @throws IdatError for unknown names and files that cannot be read
 */
export async function measurableBackbone(
  { name: nameOrPath, imageSize }: Pick<ModelPlan, 'name' | 'imageSize'>,
  folder: string,
): Promise<MeasurableBackbone> {
  try {
    return { backbone: await resolveBackbone(nameOrPath, { imageSize }), random: false };
  } catch (error) {
    if (!(error instanceof IdatError) || error.code !== 'backbone.absent') throw error;
    const known = knownBackbone(nameOrPath);
    if (!known) throw error; // whose sizes stand in a file that is not here
    const path = join(folder, `${known.name}.safetensors`);
    await writeFile(path, safetensorsPieces(randomTensors(known)));
    const config = imageSize === undefined ? known.config : ({ ...known.config, imageSize } as BackboneSizes);
    return { backbone: await backboneFromFile(path, { name: known.name, config }), random: true };
  }
}

/**
 * Every tensor a backbone of these sizes asks for, filled from one block of small random numbers, each from another place on:
 * of equal tensors the runtime keeps one, which is faster and smaller than any real model.
 */
function randomTensors({ config, name }: KnownBackbone): TensorSource[] {
  const shapes = tensorShapes(config);
  const random = randomStream(0, 'bench', name);
  const block = Float32Array.from({ length: 4096 }, () => 0.05 * random.normal());
  const longest = Math.max(...[...shapes.values()].map(size));
  const values = Float32Array.from({ length: longest + shapes.size }, (_, i) => block[i % block.length]!);
  return [...shapes].map(([tensor, shape], i) => ({ name: tensor, shape, data: values.subarray(i, i + size(shape)) }));
}
