/**
 * The vision transformer, as the paper writes it and as timm computes it: pre-norm blocks, fused qkv, exact GELU,
 * class token, learned positions.
 *
 * @see Dosovitskiy et al. 2021, arXiv:2010.11929; timm's models/vision_transformer.py for names and order
 */
import {
  add,
  broadcastTo,
  concat,
  gelu,
  layerNorm,
  linear,
  matmul,
  mul,
  reshape,
  scale,
  slice,
  softmax,
  split,
  takeTokens,
  transpose,
} from '../graph/ops/index.js';
import { type Tensor, within } from '../graph/tensor.js';
import type { ViTConfig } from './backbone.js';
import type { Hooks } from './hooks.js';

/** A weight by timm's name: a constant when frozen, a parameter when trained. */
export type WeightSource = (name: string, shape: readonly number[]) => Tensor;

export interface ViTInputs {
  /** [B, channels, S, S], normalised. */
  readonly images: Tensor;
  /** [depth, 2, B]: multiplier of each block's attention and MLP branch, not read for the first; null when nothing is dropped. */
  readonly dropPath: Tensor | null;
  /** int64 [B, kept]: the patches to keep of each image, with their positions; null or left out: all. */
  readonly keptPatches?: Tensor | null;
}

/** Tokens without the class token's: patches of a square image. */
export const patchCount = ({ imageSize, patchSize }: ViTConfig): number => (imageSize / patchSize) ** 2;

const part = <T>(name: string, trace: () => T): T => within({ part: `backbones.${name}` }, trace);

/** Traces the backbone: images -> the class token after the final norm, [B, D]. Below, T counts the tokens kept. */
export function traceViT(
  config: ViTConfig,
  weight: WeightSource,
  hooks: Hooks,
  { images, dropPath, keptPatches = null }: ViTInputs,
): Tensor {
  const { depth, width: D, layerNormEps: eps } = config;
  const B = images.shape[0]!;
  const norm = (x: Tensor, name: string) =>
    part('norm', () => layerNorm(x, weight(`${name}.weight`, [D]), weight(`${name}.bias`, [D]), eps));
  const keep = dropPath ? split(reshape(dropPath, [2 * depth, B]), 0, new Array(2 * depth).fill(1)) : null;
  // The first block's rate is always 0 and its multipliers are 1: not multiplying leaves the block free of what is drawn
  // anew in each step, so that it may be computed ahead (graph/passes/frozen-prefix.ts).
  const drop = (branch: Tensor, index: number) =>
    keep && index >= 2 ? mul(branch, reshape(keep[index]!, [B, 1, 1])) : branch;

  let x = part('patch embedding', () => patchEmbedding(config, weight, images, keptPatches)); // [B, T−1, D]
  x = hooks.patchEmbedding?.(x) ?? x;
  const classToken = broadcastTo(weight('cls_token', [1, 1, D]), [B, 1, D]);
  x = concat([classToken, x], 1); // [B, T, D]
  x = add(x, positions(weight('pos_embed', [1, patchCount(config) + 1, D]), keptPatches));

  for (let i = 0; i < depth; i++) {
    const name = `blocks.${i}`;
    x = hooks.tokens?.(i, x) ?? x;

    let normal = norm(x, `${name}.norm1`);
    normal = hooks.norm1?.(i, normal) ?? normal;
    const attended = part('attention', () => attention(config, weight, hooks, i, normal));
    let middle = add(x, drop(attended, 2 * i));
    middle = hooks.residual1?.(i, x, middle) ?? middle;

    normal = norm(middle, `${name}.norm2`);
    normal = hooks.norm2?.(i, normal) ?? normal;
    const transformed = part('mlp', () => mlp(config, weight, hooks, i, normal));
    const sum = add(middle, drop(transformed, 2 * i + 1));
    x = hooks.residual2?.(i, middle, sum) ?? sum;
  }

  x = norm(x, 'norm');
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

/** Cuts images into patches, row by row, and maps each to D numbers: a convolution whose stride is its kernel. */
function patchEmbedding(
  { imageSize, patchSize: P, channels: C, width: D }: ViTConfig,
  weight: WeightSource,
  images: Tensor,
  keptPatches: Tensor | null,
): Tensor {
  const B = images.shape[0]!;
  const g = imageSize / P;
  let x = reshape(images, [B, C, g, P, g, P]);
  x = transpose(x, [0, 2, 4, 1, 3, 5]); // [B, g, g, C, P, P]
  x = reshape(x, [B, g * g, C * P * P]);
  if (keptPatches) x = takeTokens(x, keptPatches);
  const kernel = reshape(weight('patch_embed.proj.weight', [D, C, P, P]), [D, C * P * P]);
  return linear(x, kernel, weight('patch_embed.proj.bias', [D]));
}

/** Multi-head self-attention: softmax(q·kᵀ/√(D/H))·v, heads joined and projected. x [B, T, D] -> [B, T, D] */
function attention(config: ViTConfig, weight: WeightSource, hooks: Hooks, block: number, x: Tensor): Tensor {
  const { width: D, heads: H, qkvBias } = config;
  const [B, T] = x.shape as [number, number];
  const name = `blocks.${block}.attn`;
  let qkv = linear(x, weight(`${name}.qkv.weight`, [3 * D, D]), qkvBias ? weight(`${name}.qkv.bias`, [3 * D]) : null);
  qkv = hooks.qkv?.(block, qkv, x) ?? qkv;
  const perHead = (t: Tensor) => transpose(reshape(t, [B, T, H, D / H]), [0, 2, 1, 3]); // [B, H, T, D/H]
  const [queries, ...rest] = split(qkv, 2, [D, D, D]).map(perHead) as [Tensor, Tensor, Tensor];
  let [keys, values] = rest;
  if (hooks.keysValues) ({ keys, values } = hooks.keysValues(block, keys, values));

  const scores = matmul(scale(queries, (D / H) ** -0.5), keys, false, true); // [B, H, T, T]
  const heads = matmul(softmax(scores), values); // [B, H, T, D/H]
  const joined = reshape(transpose(heads, [0, 2, 1, 3]), [B, T, D]);
  const projected = linear(joined, weight(`${name}.proj.weight`, [D, D]), weight(`${name}.proj.bias`, [D]));
  return hooks.projection?.(block, projected) ?? projected;
}

/** fc2(GELU(fc1 x)). x [B, T, D] -> [B, T, D] */
function mlp(
  { width: D, mlpWidth: M }: ViTConfig,
  weight: WeightSource,
  hooks: Hooks,
  block: number,
  x: Tensor,
): Tensor {
  const name = `blocks.${block}.mlp`;
  let hidden = linear(x, weight(`${name}.fc1.weight`, [M, D]), weight(`${name}.fc1.bias`, [M])); // [B, T, M]
  hidden = hooks.fc1?.(block, hidden) ?? hidden;
  const y = linear(gelu(hidden), weight(`${name}.fc2.weight`, [D, M]), weight(`${name}.fc2.bias`, [D]));
  return hooks.fc2?.(block, y) ?? y;
}
