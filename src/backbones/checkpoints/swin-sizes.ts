/** A Swin's sizes, from the shapes of its tensors where they show and from what is known beside them where they do not. */
import { IdatError } from '../../errors.js';
import { type ImageSize, imageSizeText } from '../../image-size.js';
import type { SwinConfig } from '../backbone.js';
import { type Checkpoint, countOf, shapeOf } from './naming.js';
import { MAX_DEPTH } from './vit-sizes.js';

/** What shapes do not tell. */
export interface SwinFacts {
  /** Default: so large that the last stage's grid is one window, as in every published model. */
  readonly imageSize?: ImageSize | undefined;
  /** Default: 1e-5, timm's. */
  readonly layerNormEps?: number | undefined;
}

/** @throws IdatError `backbone.tensor` when a tensor that tells a size is missing or of another rank */
export function swinSizes(
  file: Pick<Checkpoint, 'path' | 'tensors'>,
  { imageSize, layerNormEps = 1e-5 }: SwinFacts,
  title: string,
): SwinConfig {
  const { tensors } = file;
  const shape = (name: string, rank: number) => shapeOf(file, name, rank, title);
  const table = (stage: number) => shape(`layers.${stage}.blocks.0.attn.relative_position_bias_table`, 2);
  const windowOf = ([rows]: readonly number[]) => (Math.sqrt(rows!) + 1) / 2;
  const [embedWidth, channels, patchSize] = shape('patch_embed.proj.weight', 4) as [number, number, number];
  const stages = countOf(tensors, (s) => `layers.${s}.blocks.0.norm1.weight`);
  const depths = Array.from({ length: stages }, (_, s) =>
    countOf(tensors, (b) => `layers.${s}.blocks.${b}.norm1.weight`),
  );
  return {
    family: 'swin',
    imageSize:
      (imageSize as number | undefined) ?? patchSize * windowOf(table(Math.max(stages - 1, 0))) * 2 ** (stages - 1),
    patchSize,
    channels,
    embedWidth,
    depths,
    heads: depths.map((_, s) => table(s)[1]!),
    windowSize: windowOf(table(0)),
    mlpRatio: shape('layers.0.blocks.0.mlp.fc1.weight', 2)[0]! / embedWidth,
    qkvBias: tensors.has('layers.0.blocks.0.attn.qkv.bias'),
    layerNormEps,
  };
}

/** Each halves the grid: with more, no image of `LARGEST_IMAGE` pixels has a patch left. */
const MAX_STAGES = 12;
/** Pixels a side. */
const LARGEST_IMAGE = 4096;
/** Beyond these the tables of a window's positions would fill the memory. */
const MAX_WINDOW = 32;
const MAX_MASK_NUMBERS = 2 ** 22;
/** What windows add to the scores of an image, over all heads and blocks; four times that of the largest published. */
const MAX_BIAS_NUMBERS = 2 ** 28;

/** @throws IdatError when the sizes do not fit each other: heads and widths, or the image and the windows that tile it */
export function checkSwinSizes(path: string, config: SwinConfig): void {
  const { imageSize, patchSize, embedWidth, depths, heads, windowSize, channels, mlpRatio } = config;
  if (typeof imageSize !== 'number') {
    const what = `images of ${imageSizeText(imageSize)} pixels are no squares, which a Swin's windows tile`;
    throw new IdatError('backbone.imageSize', `${path}: ${what}; use as many pixels a side both ways`);
  }
  const counts = [patchSize, channels, embedWidth, windowSize, ...heads];
  if (!counts.every((n) => Number.isInteger(n) && n >= 1) || !(mlpRatio > 0 && mlpRatio < Infinity)) {
    throw new IdatError(
      'backbone.sizes',
      `${path}: its tensors are no Swin's: patches of ${patchSize} pixels and ${channels} channels, width ${embedWidth}, windows of ${windowSize}, ${heads.slice(0, 8).join(', ')} heads, an MLP ${mlpRatio} times as wide`,
    );
  }
  const blocks = depths.reduce((sum, depth) => sum + depth, 0);
  if (depths.length > MAX_STAGES || blocks > MAX_DEPTH) {
    const what = `a Swin of ${depths.length} stages and ${blocks} blocks`;
    const most = `idat reads those of up to ${MAX_STAGES} and ${MAX_DEPTH}`;
    throw new IdatError('backbone.sizes', `${path}: ${what}; ${most}`);
  }
  if (depths.length < 1 || channels !== 3) {
    const what = `${depths.length} stages, width ${embedWidth}, ${channels} colour channels`;
    throw new IdatError(
      'backbone.sizes',
      `${path}: ${what}; idat needs a Swin of at least one stage for images of 3 channels`,
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
  const grid = imageSize / patchSize;
  const window = Math.min(windowSize, grid);
  if (window > MAX_WINDOW || grid ** 2 * window ** 2 > MAX_MASK_NUMBERS) {
    const what = `windows of ${windowSize} × ${windowSize} patches in an image of ${grid} × ${grid} patches`;
    throw new IdatError('backbone.imageSize', `${path}: ${what} are more than idat can lay out; use smaller images`);
  }
  const biases = depths.map(
    (depth, s) => depth * heads[s]! * (grid / 2 ** s) ** 2 * Math.min(windowSize, grid / 2 ** s) ** 2,
  );
  if (biases.reduce((sum, numbers) => sum + numbers, 0) > MAX_BIAS_NUMBERS) {
    const what = `${blocks} blocks of ${heads.join(', ')} heads add more to the scores of their windows than idat can lay out`;
    throw new IdatError('backbone.sizes', `${path}: ${what}; use another model, or smaller images`);
  }
}
