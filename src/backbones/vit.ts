/**
 * The vision transformer, as the paper writes it and as timm computes it: pre-norm blocks, fused qkv, exact GELU,
 * class token, learned positions. Published models differ from it in parts, each named in the sizes (ViTVariations).
 *
 * @see Dosovitskiy et al. 2021, arXiv:2010.11929; timm's models/vision_transformer.py for names and order
 */

import { add, broadcastTo, concat, split, takeTokens } from '../graph/ops/index.js';
import type { Tensor } from '../graph/tensor.js';
import { sidesOf } from '../image-size.js';
import type { Architecture, BackboneInputs, ViTConfig, WeightSource } from './backbone.js';
import { attention, dropBranches, norm, part, patchEmbedding, traceBlock } from './block.js';
import type { Hooks } from './hooks.js';
import { POOLINGS } from './pooling.js';
import { rotation } from './rotary.js';

export const vit: Architecture<ViTConfig> = {
  normalisation: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  trace: traceViT,
  blocks: (config) => {
    const { depth, width, heads, mlpWidth } = config;
    const tokens = patchCount(config) + frontCount(config);
    return Array.from({ length: depth }, (_, block) => {
      const name = blockName(block);
      return { name, stage: 0, width, heads, tokens, mlpWidth };
    });
  },
  patches: (config) => patchCount(config),
  hasClassToken: ({ classToken = true }) => classToken,
};

const blockName = (block: number): string => `blocks.${block}`;

/** Patches of an image, as they lie. */
export const patchGrid = ({
  imageSize,
  patchSize,
}: Pick<ViTConfig, 'imageSize' | 'patchSize'>): readonly [rows: number, columns: number] => {
  const [height, width] = sidesOf(imageSize);
  return [height / patchSize, width / patchSize];
};

/** Tokens without those in front. */
const patchCount = (config: ViTConfig): number => {
  const [rows, columns] = patchGrid(config);
  return rows * columns;
};

interface FrontTokens {
  /** The weight's name. */
  readonly name: string;
  readonly count: number;
  /** Whether they have positions. */
  readonly placed: boolean;
}

/** What stands in front of the patches, in order; those with positions come first. */
function frontTokens({ classToken = true, distillationToken, registers = 0, positions }: ViTConfig): FrontTokens[] {
  const own = positions === undefined || positions === 'all';
  const tokens = [
    { name: 'cls_token', count: Number(classToken), placed: own },
    { name: 'dist_token', count: Number(distillationToken ?? false), placed: own },
    { name: 'reg_token', count: registers, placed: positions === 'all' },
  ];
  return tokens.filter(({ count }) => count > 0);
}

const frontCount = (config: ViTConfig): number => frontTokens(config).reduce((sum, { count }) => sum + count, 0);

/** Tokens in front that have positions. */
export const placedFrontCount = (config: ViTConfig): number =>
  frontTokens(config).reduce((sum, { count, placed }) => sum + (placed ? count : 0), 0);

/** Traces the backbone: images -> features [B, D]. Below, T counts the tokens kept. */
function traceViT(
  config: ViTConfig,
  weight: WeightSource,
  hooks: Hooks,
  { images, dropPath, dropPathFrom, keptPatches = null }: BackboneInputs,
): Tensor {
  const { depth, width: D, heads: H, patchSize, layerNormEps: eps, patchBias, rotary } = config;
  const drop = dropBranches(dropPath, dropPathFrom);

  let x = part('patch embedding', () => patchEmbedding(patchSize, D, weight, images, keptPatches, patchBias));
  x = hooks.patchEmbedding?.(x) ?? x;
  const patches = x.shape[1]!;
  x = withFront(config, weight, x, keptPatches); // [B, T, D]
  if (config.preNorm) x = norm(x, 'norm_pre', weight, eps);

  const rotate = rotary === undefined ? undefined : rotation(patchGrid(config), D / H, rotary, keptPatches);
  for (let index = 0; index < depth; index++) {
    const block = { ...config, index, name: blockName(index) };
    x = hooks.tokens?.(index, x) ?? x;
    x = traceBlock(block, weight, hooks, drop, (tokens) => attention(block, weight, hooks, tokens, null, rotate), x);
  }

  const { pool = 'token', normAfterPool = false } = config;
  const normal = (t: Tensor) => {
    const y = norm(t, finalNormName(config), weight, eps);
    return hooks.finalNorm?.(y) ?? y;
  };
  const pooled = (t: Tensor) => POOLINGS[pool](config, weight, t, patches, hooks);
  return normAfterPool ? normal(pooled(x)) : pooled(normal(x));
}

/** What the weights of the last norm are called. */
export const finalNormName = ({ normAfterPool }: Pick<ViTConfig, 'normAfterPool'>): string =>
  normAfterPool ? 'fc_norm' : 'norm';

/** Puts the tokens in front and adds positions. patches [B, T, D] -> [B, front + T, D] */
function withFront(config: ViTConfig, weight: WeightSource, patches: Tensor, keptPatches: Tensor | null): Tensor {
  const [B, , D] = patches.shape as [number, number, number];
  const token = ({ name, count }: FrontTokens) => broadcastTo(weight(name, [1, count, D]), [B, count, D]);
  const front = frontTokens(config);
  const placed = front.filter((tokens) => tokens.placed);
  const others = front.filter((tokens) => !tokens.placed);
  const count = placedFrontCount(config);
  let x = concat([...placed.map(token), patches], 1);
  if (config.positions !== 'none') {
    const all = weight('pos_embed', [1, count + patchCount(config), D]);
    x = add(x, positions(all, count, keptPatches));
  }
  if (others.length === 0) return x;
  if (count === 0) return concat([...others.map(token), x], 1);
  const [first, rest] = split(x, 1, [count, x.shape[1]! - count]) as [Tensor, Tensor];
  return concat([first, ...others.map(token), rest], 1);
}

/** The positions of the tokens there are: [1, front + patches, D], with patches left out [B, front + kept, D]. */
function positions(all: Tensor, front: number, keptPatches: Tensor | null): Tensor {
  if (!keptPatches) return all;
  const [, count, D] = all.shape as [number, number, number];
  const B = keptPatches.shape[0]!;
  const parts = front === 0 ? [all] : split(all, 1, [front, count - front]);
  const kept = takeTokens(broadcastTo(parts.at(-1)!, [B, count - front, D]), keptPatches);
  if (front === 0) return kept;
  const own = parts[0]!;
  return concat([broadcastTo(own, [B, front, D]), kept], 1);
}
