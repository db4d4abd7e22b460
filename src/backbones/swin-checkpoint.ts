/**
 * A Swin's sizes and names in a file in timm's naming, which numbers the merging of patches in two ways: behind a stage
 * (Microsoft's files, timm before 0.9; the way idat goes by) or in front of the next one (timm since 0.9).
 */
import { IdatError } from '../errors.js';
import { formatShape, type Shape } from '../graph/tensor.js';
import type { SwinConfig } from './backbone.js';

/** Tensors of a file by name. */
export type TensorShapes = ReadonlyMap<string, { readonly shape: Shape }>;

/** Whether a file holds a Swin. */
export const holdsSwin = (tensors: TensorShapes): boolean => tensors.has('layers.0.blocks.0.norm1.weight');

/**
 * Sizes, from the shapes where they show, from the metadata (timm's argument names) where they do not. Where
 * neither img_size nor the mask of an older file tells the image's size, it is taken to be so large that the last
 * stage's grid is one window, as in every published model.
 *
 * @throws IdatError `backbone.tensor` when a tensor that tells a size is missing or of another rank
 */
export function readSwinConfig(path: string, tensors: TensorShapes, metadata: Record<string, string>): SwinConfig {
  const shape = (name: string, rank: number) => {
    const found = tensors.get(name)?.shape;
    if (found?.length === rank) return found as readonly [number, ...number[]];
    throw new IdatError(
      'backbone.tensor',
      `${path}: tensor ${name} ${found ? `is ${formatShape(found)}, a Swin's has ${rank} axes` : 'is missing'}; idat reads Swin checkpoints in timm's naming`,
    );
  };
  const table = (stage: number) => shape(`layers.${stage}.blocks.0.attn.relative_position_bias_table`, 2);
  const windowOf = ([rows]: readonly [number, ...number[]]) => (Math.sqrt(rows) + 1) / 2;
  const count = (name: (index: number) => string) => {
    let index = 0;
    while (tensors.has(name(index))) index++;
    return index;
  };
  const stages = count((s) => `layers.${s}.blocks.0.norm1.weight`);
  const depths = Array.from({ length: stages }, (_, s) => count((b) => `layers.${s}.blocks.${b}.norm1.weight`));
  const [embedWidth, channels, patchSize] = shape('patch_embed.proj.weight', 4) as [number, number, number];
  const windowSize = windowOf(table(0));
  const mask = tensors.get('layers.0.blocks.1.attn_mask')?.shape;
  const masked = mask?.length === 3 ? patchSize * windowSize * Math.sqrt(mask[0]!) : 0;
  const lastIsOneWindow = patchSize * windowOf(table(stages - 1)) * 2 ** (stages - 1);
  return {
    family: 'swin',
    imageSize: Number(metadata.img_size) || masked || lastIsOneWindow,
    patchSize,
    channels,
    embedWidth,
    depths,
    heads: depths.map((_, s) => table(s)[1]!),
    windowSize,
    mlpRatio: shape('layers.0.blocks.0.mlp.fc1.weight', 2)[0] / embedWidth,
    qkvBias: tensors.has('layers.0.blocks.0.attn.qkv.bias'),
    layerNormEps: Number(metadata.layer_norm_eps) || 1e-5,
  };
}

/** Pixels a side; a file that claims more would have tables of its tokens made that fill the memory. */
const LARGEST_IMAGE = 4096;

/** @throws IdatError when the sizes do not fit each other: heads and widths, or the image and the windows that tile it */
export function checkSwinConfig(path: string, config: SwinConfig): void {
  const { imageSize, patchSize, channels, embedWidth, depths, heads, windowSize, mlpRatio } = config;
  const counts = [patchSize, channels, embedWidth, windowSize, ...heads];
  if (!counts.every((n) => Number.isInteger(n) && n >= 1) || !(mlpRatio > 0 && mlpRatio < Infinity)) {
    throw new IdatError(
      'backbone.sizes',
      `${path}: its tensors are no Swin's: patches of ${patchSize} pixels and ${channels} channels, width ${embedWidth}, windows of ${windowSize}, ${heads.join(', ')} heads, an MLP ${mlpRatio} times as wide`,
    );
  }
  if (imageSize > LARGEST_IMAGE) {
    const most = `at most ${LARGEST_IMAGE} pixels a side`;
    throw new IdatError(
      'backbone.imageSize',
      `${path}: images of ${imageSize} pixels a side are too large, expected ${most}`,
    );
  }
  const odd = heads.findIndex((n, s) => !Number.isInteger((embedWidth * 2 ** s) / n));
  if (odd >= 0) {
    const width = embedWidth * 2 ** odd;
    throw new IdatError(
      'backbone.heads',
      `${path}: width ${width} of stage ${odd} is not divisible by ${heads[odd]} heads`,
    );
  }
  const last = imageSize / patchSize / 2 ** (depths.length - 1);
  const tiled = depths.every((_, s) => {
    const grid = last * 2 ** (depths.length - 1 - s);
    return grid % Math.min(windowSize, grid) === 0;
  });
  if (!Number.isInteger(last) || last < 1 || !tiled) {
    const step = patchSize * windowSize * 2 ** (depths.length - 1);
    throw new IdatError(
      'backbone.imageSize',
      `${path}: windows of ${windowSize} × ${windowSize} patches do not tile an image of ${imageSize} pixels in every stage; use a multiple of ${step}`,
    );
  }
}

/** The name that a file has for idat's name of a Swin's tensor. */
export function storedSwinName(tensors: TensorShapes): (name: string) => string {
  const mergesInFront = !tensors.has('layers.0.downsample.reduction.weight');
  const ownHead = tensors.has('head.fc.weight');
  return (name) => {
    if (ownHead && name.startsWith('head.')) return name.replace('head.', 'head.fc.');
    if (!mergesInFront) return name;
    return name.replace(/^layers\.(\d+)\.downsample\./, (_, stage) => `layers.${Number(stage) + 1}.downsample.`);
  };
}
