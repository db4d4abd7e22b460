/** A ViT's sizes, from the shapes of its tensors where they show and from what is known beside them where they do not. */
import { IdatError } from '../../errors.js';
import type { ViTConfig } from '../backbone.js';
import { type Checkpoint, countOf, shapeOf } from './naming.js';
import { publishedHeads } from './vit-heads.js';

/** What shapes do not tell. */
export interface ViTFacts {
  /** Default: those of the published ViT of these sizes (vit-heads.ts). */
  readonly heads?: number | undefined;
  /** Default: 1e-6, timm's and the paper's. */
  readonly layerNormEps?: number | undefined;
}

/** @throws IdatError `backbone.tensor` when a tensor that tells a size is missing or of another rank */
export function viTSizes(
  file: Pick<Checkpoint, 'path' | 'tensors'>,
  { heads, layerNormEps = 1e-6 }: ViTFacts,
  title: string,
): ViTConfig {
  const shape = (name: string, rank: number) => shapeOf(file, name, rank, title);
  const [width, channels, patchSize] = shape('patch_embed.proj.weight', 4) as [number, number, number];
  const tokens = shape('pos_embed', 3)[1]!;
  const depth = countOf(file.tensors, (block) => `blocks.${block}.norm1.weight`);
  const mlpWidth = shape('blocks.0.mlp.fc1.weight', 2)[0]!;
  return {
    family: 'vit',
    imageSize: Math.round(Math.sqrt(Math.max(tokens - 1, 0))) * patchSize,
    patchSize,
    channels,
    width,
    depth,
    // none: refused below, in a sentence that asks for them
    heads: heads ?? publishedHeads({ width, depth, mlpWidth }) ?? 0,
    mlpWidth,
    qkvBias: file.tensors.has('blocks.0.attn.qkv.bias'),
    layerNormEps,
  };
}

/** Tokens beyond this, attention over them would not fit into any memory. */
const MAX_TOKENS = 2 ** 16;

/** Several times the deepest published; a graph of thousands of blocks would be deeper than the stack. */
const MAX_DEPTH = 256;

/** @throws IdatError when the sizes do not fit each other */
export function checkViTSizes(path: string, config: ViTConfig): void {
  const { heads, width, imageSize, patchSize, depth, channels } = config;
  if (!Number.isInteger(heads) || heads < 1 || width % heads !== 0) {
    throw new IdatError(
      'backbone.heads',
      `${path}: cannot tell the number of heads for width ${width}; store it as num_heads in the file's metadata, or put the model's config.json beside the file`,
    );
  }
  if (depth < 1 || width < 1 || channels !== 3) {
    const what = `depth ${depth}, width ${width}, ${channels} colour channels`;
    throw new IdatError(
      'backbone.sizes',
      `${path}: ${what}; idat needs a ViT of at least one block for images of 3 channels`,
    );
  }
  if (depth > MAX_DEPTH) {
    throw new IdatError('backbone.sizes', `${path}: a ViT of ${depth} blocks; idat reads those of up to ${MAX_DEPTH}`);
  }
  if (!Number.isInteger(imageSize / patchSize) || imageSize < patchSize) {
    throw new IdatError(
      'backbone.imageSize',
      `${path}: image size ${imageSize} is not a multiple of patch size ${patchSize}`,
    );
  }
  if ((imageSize / patchSize) ** 2 > MAX_TOKENS) {
    const what = `images of ${imageSize} pixels make more than ${MAX_TOKENS} patches of ${patchSize}`;
    throw new IdatError('backbone.imageSize', `${path}: ${what}; use smaller images`);
  }
}
