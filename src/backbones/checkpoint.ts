/**
 * A checkpoint as a frozen backbone: the sizes decided, every tensor looked at once, numbers left where they lie.
 */

import { IdatError } from '../errors.js';
import { computedConstant } from '../graph/ops/constant.js';
import { constant } from '../graph/ops/index.js';
import { formatShape, type Shape, sameShape } from '../graph/tensor.js';
import { tensorShapes, usualNormalisation } from './architecture.js';
import type { Backbone, BackboneConfig, BackboneSizes, Weights } from './backbone.js';
import type { Checkpoint } from './checkpoints/naming.js';
import type { StoredTensor } from './checkpoints/stored-tensor.js';
import { checkSwinSizes } from './checkpoints/swin-sizes.js';
import { checkViTSizes } from './checkpoints/vit-sizes.js';
import { resizePositionEmbedding } from './position-embedding.js';
import { patchGrid } from './vit.js';

export interface Overrides {
  readonly name?: string;
  /** Sizes known from elsewhere; they win over what the file says. A different imageSize resizes the positions. */
  readonly config?: BackboneSizes;
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  /** Names of tensors that may lie beside the backbone's and are passed over. Default: none, other names are refused. */
  readonly besides?: RegExp;
}

/**
 * @param checkpoint as opened; its numbers are looked at once
 * @param sha256 of the bytes of its files
 * @throws IdatError when a tensor is missing, has another shape than the sizes ask for, is unknown, or holds NaN or infinity
 */
export function backboneOf(checkpoint: Checkpoint, sha256: string, overrides: Overrides = {}): Backbone {
  const { path } = checkpoint;
  const config = { ...checkpoint.config, ...overrides.config } as BackboneConfig;
  checkConfig(path, checkpoint.config, config);
  const weights = new CheckpointWeights(checkpoint, config);
  checkWeights(checkpoint, weights, tensorShapes(config));
  const usual = usualNormalisation(config);
  const mean = overrides.mean ?? checkpoint.mean ?? usual.mean;
  const std = overrides.std ?? checkpoint.std ?? usual.std;
  checkNormalisation(path, config, mean, std);
  return {
    name: overrides.name ?? path.replace(/^.*[\\/]/, '').replace(/\.(safetensors|npz)$/, ''),
    config,
    weights,
    mean,
    std,
    path: checkpoint.files.length === 1 ? checkpoint.files[0]! : path,
    sha256,
  };
}

function checkConfig(path: string, { family }: BackboneConfig, config: BackboneConfig): void {
  if (config.family !== family) {
    const [found, wanted] = [family, config.family].map((name) => ({ vit: 'ViT', swin: 'Swin' })[name]);
    throw new IdatError('backbone.family', `${path}: the file holds a ${found}, where a ${wanted} was expected`);
  }
  const { layerNormEps: eps } = config;
  if (!(eps > 0 && eps < 1)) {
    throw new IdatError(
      'backbone.layerNormEps',
      `${path}: the norms' epsilon is ${eps}, expected a number between 0 and 1`,
    );
  }
  if (config.family === 'swin') checkSwinSizes(path, config);
  else checkViTSizes(path, config);
}

function checkNormalisation(
  path: string,
  { channels }: BackboneConfig,
  mean: readonly number[],
  std: readonly number[],
): void {
  const usable = (values: readonly number[]) => values.length === channels && values.every(Number.isFinite);
  if (usable(mean) && usable(std) && std.every((s) => s > 0)) return;
  throw new IdatError(
    'backbone.normalisation',
    `${path}: mean [${mean.slice(0, 8)}] and std [${std.slice(0, 8)}] cannot normalise images of ${channels} channels; correct them where they come from`,
  );
}

/**
 * Every tensor the backbone asks for is there, fits, and holds numbers: a NaN in frozen weights would surface as a NaN loss
 * far from its cause. And there is nothing besides but the head of the file's own classes.
 */
function checkWeights({ path, tensors }: Checkpoint, weights: Weights, shapes: ReadonlyMap<string, Shape>): void {
  const extra = [...tensors.keys()].find((name) => !shapes.has(name) && !name.startsWith('head.'));
  if (extra !== undefined) {
    const what = `tensor ${tensors.get(extra)!.name} belongs to a larger model than the others; the file mixes sizes`;
    throw new IdatError('backbone.tensor', `${path}: ${what}, or a block is missing`);
  }
  for (const [name, shape] of shapes) {
    const values = weights.values(name, shape);
    let at = 0; // a call for each number of a checkpoint would take seconds
    while (at < values.length && Number.isFinite(values[at])) at++;
    if (at === values.length) continue;
    throw new IdatError(
      'backbone.notFinite',
      `${path}: tensor ${tensors.get(name)!.name} holds ${values[at]} at element ${at}; the weights are damaged, get the file again`,
    );
  }
}

class CheckpointWeights implements Weights {
  constructor(
    private readonly checkpoint: Checkpoint,
    private readonly config: BackboneConfig,
  ) {}

  has(name: string): boolean {
    return this.checkpoint.tensors.has(name);
  }

  constant(name: string, shape: Shape) {
    const tensor = this.find(name, shape);
    if (!tensor.place || !sameShape(tensor.shape, shape))
      return computedConstant(shape, () => this.values(name, shape));
    return constant(shape, { kind: 'file', ...tensor.place, load: (first, count) => tensor.load(first, count) });
  }

  values(name: string, shape: Shape): Float32Array {
    const tensor = this.find(name, shape);
    const values = tensor.load();
    if (sameShape(tensor.shape, shape)) return values;
    const [from, to] = [patchGrid(this.checkpoint.config), patchGrid(this.config)];
    return resizePositionEmbedding(values, shape[2]!, from, to, shape[1]! - to[0] * to[1]);
  }

  private find(name: string, shape: Shape): StoredTensor {
    const { path, tensors, config } = this.checkpoint;
    const tensor = tensors.get(name);
    if (!tensor) {
      throw new IdatError(
        'backbone.tensor',
        `${path}: tensor ${name} ${formatShape(shape)} is missing; the file is incomplete, or made for another model`,
      );
    }
    // positions may be resized, from the grid their number says
    const patches = (of: BackboneConfig) => patchGrid(of).reduce((rows, columns) => rows * columns);
    const expected = name === 'pos_embed' ? [1, shape[1]! - patches(this.config) + patches(config), shape[2]!] : shape;
    if (tensor.isFloat && sameShape(tensor.shape, expected)) return tensor;
    throw new IdatError(
      'backbone.tensor',
      `${path}: tensor ${tensor.name} is ${tensor.type} ${formatShape(tensor.shape)}, expected float ${formatShape(expected)} for ${this.describe()}`,
    );
  }

  private describe(): string {
    if (this.config.family === 'vit') return `a ViT of width ${this.config.width}, depth ${this.config.depth}`;
    return `a Swin of width ${this.config.embedWidth}, depths ${this.config.depths}`;
  }
}
