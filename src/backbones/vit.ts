/**
 * The vision transformer, as the paper writes it and as timm computes it: pre-norm blocks, fused qkv, exact GELU,
 * class token, learned positions.
 *
 * @see Dosovitskiy et al. 2021, arXiv:2010.11929; timm's models/vision_transformer.py for names and order
 */
import { add, broadcastTo, concat, reshape, slice } from '../graph/ops/index.js';
import type { Tensor } from '../graph/tensor.js';
import type { Architecture, BackboneInputs, ViTConfig, WeightSource } from './backbone.js';
import { attention, dropBranches, norm, part, patchEmbedding, traceBlock } from './block.js';
import type { Hooks } from './hooks.js';

export const vit: Architecture<ViTConfig> = {
  normalisation: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  trace: traceViT,
  blocks: (config) => {
    const { depth, width, heads, mlpWidth } = config;
    return new Array(depth).fill({ width, heads, tokens: patchCount(config) + 1, mlpWidth });
  },
};

/** Tokens without the class token's: patches of a square image. */
const patchCount = ({ imageSize, patchSize }: ViTConfig): number => (imageSize / patchSize) ** 2;

/** Traces the backbone: images -> the class token after the final norm, [B, D]. */
function traceViT(config: ViTConfig, weight: WeightSource, hooks: Hooks, { images, dropPath }: BackboneInputs): Tensor {
  const { depth, width: D, patchSize } = config;
  const B = images.shape[0]!;
  const drop = dropBranches(dropPath);

  let x = part('patch embedding', () => patchEmbedding(patchSize, D, weight, images)); // [B, T−1, D]
  x = hooks.patchEmbedding?.(x) ?? x;
  const classToken = broadcastTo(weight('cls_token', [1, 1, D]), [B, 1, D]);
  x = concat([classToken, x], 1); // [B, T, D]
  x = add(x, weight('pos_embed', [1, patchCount(config) + 1, D]));

  for (let index = 0; index < depth; index++) {
    const block = { ...config, index, name: `blocks.${index}` };
    x = hooks.tokens?.(index, x) ?? x;
    x = traceBlock(block, weight, hooks, drop, (tokens) => attention(block, weight, hooks, tokens), x);
  }

  x = norm(x, 'norm', weight, config.layerNormEps);
  x = hooks.finalNorm?.(x) ?? x;
  return reshape(slice(x, 1, 0, 1), [B, D]);
}
