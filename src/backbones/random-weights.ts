/**
 * A ViT that has learnt nothing: the weights that timm gives a new model.
 */
import { sha256 } from '../files/sha256.js';
import { constant } from '../graph/ops/index.js';
import { size } from '../graph/tensor.js';
import { type RandomStream, randomStream } from '../random.js';
import { tensorShapes } from './architecture.js';
import type { Backbone, ViTConfig, Weights } from './backbone.js';

/** Raised whenever the same sizes and seed would give other numbers. */
const INIT_VERSION = 1;

/**
 * A backbone of these sizes with random weights. Equal arguments give equal numbers on every machine.
 *
 * Matrices are N(0, 0.02²), as are position embeddings; the class token is N(0, 1e-6²); biases are 0 and norms the identity.
 * The patch embedding, a convolution, keeps PyTorch's own start: U(−1/√fan-in, 1/√fan-in), bias too.
 *
 * @param role keeps two models of one run apart
 * @see timm's models/vision_transformer.py, `init_weights_vit_timm`
 */
export async function randomBackbone(name: string, config: ViTConfig, seed: number, role: string): Promise<Backbone> {
  const half = new Array<number>(config.channels).fill(0.5);
  const { family: _, ...sizes } = config;
  const identity = JSON.stringify([INIT_VERSION, Object.entries(sizes).sort(), seed, role]);
  return {
    name,
    config,
    weights: randomWeights(config, seed, role),
    mean: half,
    std: half,
    path: 'random weights',
    sha256: await sha256(identity),
  };
}

function randomWeights(config: ViTConfig, seed: number, role: string): Weights {
  const own = tensorShapes(config);
  const values = (name: string, shape: readonly number[]) => {
    const sample = distributionOf(name, config);
    const random = randomStream(seed, 'init', role, name);
    return Float32Array.from({ length: size(shape) }, () => sample(random));
  };
  return {
    has: (name) => own.has(name),
    constant: (name, shape) => constant(shape, values(name, shape)),
    values,
  };
}

function distributionOf(name: string, { channels, patchSize }: ViTConfig): (random: RandomStream) => number {
  if (name.startsWith('patch_embed.proj.')) {
    const bound = 1 / Math.sqrt(channels * patchSize ** 2);
    return (random) => bound * (2 * random.uniform() - 1);
  }
  if (/^(cls|reg)_token$/.test(name)) return (random) => 1e-6 * random.normal();
  if (/norm(\d|_pre)?\.weight$|\.gamma$/.test(name)) return () => 1;
  if (name.endsWith('.bias')) return () => 0;
  // truncated at ±2, which is a hundred standard deviations away
  return (random) => 0.02 * random.normal();
}
