/**
 * The vision transformer, as the paper writes it and as timm computes it: pre-norm blocks, fused qkv, exact GELU,
 * class token, learned positions.
 *
 * @see Dosovitskiy et al. 2021, arXiv:2010.11929; timm's models/vision_transformer.py for names and order
 */
import { add, broadcastTo, concat, reshape, slice, split, takeTokens } from '../graph/ops/index.js';
import type { Tensor } from '../graph/tensor.js';
import type { Architecture, BackboneInputs, ViTConfig, WeightSource } from './backbone.js';
import { attention, dropBranches, norm, part, patchEmbedding, traceBlock } from './block.js';
import type { Hooks } from './hooks.js';

export const vit: Architecture<ViTConfig> = {
  normalisation: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  trace: traceViT,
  blocks: (config) => {
    const { depth, width, heads, mlpWidth } = config;
    return Array.from({ length: depth }, (_, block) => {
      const name = blockName(block);
      return { name, stage: 0, width, heads, tokens: patchCount(config) + 1, mlpWidth };
    });
  },
  patches: (config) => patchCount(config),
};

const blockName = (block: number): string => `blocks.${block}`;

/** Tokens without the class token's: patches of a square image. */
const patchCount = ({ imageSize, patchSize }: ViTConfig): number => (imageSize / patchSize) ** 2;

/** Traces the backbone: images -> the class token after the final norm, [B, D]. Below, T counts the tokens kept. */
function traceViT(
  config: ViTConfig,
  weight: WeightSource,
  hooks: Hooks,
  { images, dropPath, keptPatches = null }: BackboneInputs,
): Tensor {
  const { depth, width: D, patchSize } = config;
  const B = images.shape[0]!;
  const drop = dropBranches(dropPath);

  let x = part('patch embedding', () => patchEmbedding(patchSize, D, weight, images, keptPatches)); // [B, T−1, D]
  x = hooks.patchEmbedding?.(x) ?? x;
  const classToken = broadcastTo(weight('cls_token', [1, 1, D]), [B, 1, D]);
  x = concat([classToken, x], 1); // [B, T, D]
  x = add(x, positions(weight('pos_embed', [1, patchCount(config) + 1, D]), keptPatches));

  for (let index = 0; index < depth; index++) {
    const block = { ...config, index, name: blockName(index) };
    x = hooks.tokens?.(index, x) ?? x;
    x = traceBlock(block, weight, hooks, drop, (tokens) => attention(block, weight, hooks, tokens), x);
  }

  x = norm(x, 'norm', weight, config.layerNormEps);
  x = hooks.finalNorm?.(x) ?? x;
  return reshape(slice(x, 1, 0, 1), [B, D]);
}

/** The positions of the tokens there are: [1, 1 + patches, D], with patches left out [B, T, D]. */
function positions(all: Tensor, keptPatches: Tensor | null): Tensor {
  if (!keptPatches) return all;
  const [, count, D] = all.shape as [number, number, number];
  const B = keptPatches.shape[0]!;
  const [classToken, patches] = split(all, 1, [1, count - 1]) as [Tensor, Tensor];
  const kept = takeTokens(broadcastTo(patches, [B, count - 1, D]), keptPatches);
  return concat([broadcastTo(classToken, [B, 1, D]), kept], 1);
}
