/**
 * The pre-norm transformer block that all backbones are made of: attention and an MLP, each behind a norm and added to
 * the stream.
 *
 * Letters: B images (for attention within windows, images × windows), T tokens, D width, H heads.
 */
import {
  add,
  concat,
  layerNorm,
  linear,
  matmul,
  mul,
  reshape,
  scale,
  softmax,
  split,
  takeTokens,
  transpose,
  zeros,
} from '../graph/ops/index.js';
import { type Tensor, within } from '../graph/tensor.js';
import { ACTIVATIONS } from './activations.js';
import type { ViTVariations, WeightSource } from './backbone.js';
import type { Hooks } from './hooks.js';
import type { Rotation } from './rotary.js';

/** Traces a part of a backbone under its label. */
export const part = <T>(name: string, trace: () => T): T => within({ part: `backbones.${name}` }, trace);

/** Multiplies the branch of an index (2·block for attention, 2·block + 1 for the MLP) by its drop-path multipliers. */
export type Drop = (branch: Tensor, index: number) => Tensor;

/**
 * @param dropPath [blocks, 2, B], or null: nothing is dropped
 * @param from the first block of which anything is
 */
export function dropBranches(dropPath: Tensor | null, from = 1): Drop {
  if (!dropPath) return (branch) => branch;
  const [depth, , B] = dropPath.shape as [number, number, number];
  const keep = split(reshape(dropPath, [2 * depth, B]), 0, new Array(2 * depth).fill(1));
  // The first block's rate is always 0 and its multipliers are 1: not multiplying leaves the block free of what is drawn
  // anew in each step, so that it may be computed ahead (graph/passes/frozen-prefix.ts).
  const first = 2 * Math.max(from, 1);
  return (branch, index) => (index >= first ? mul(branch, reshape(keep[index]!, [B, 1, 1])) : branch);
}

/** LayerNorm over the last axis, with the gain and shift of that name. */
export const norm = (x: Tensor, name: string, weight: WeightSource, eps: number): Tensor =>
  part('norm', () => {
    const D = x.shape.at(-1)!;
    return layerNorm(x, weight(`${name}.weight`, [D]), weight(`${name}.bias`, [D]), eps);
  });

/** One block, as hooks and weights know it. */
export interface Block extends Pick<ViTVariations, 'layerScale' | 'qkNorm' | 'activation' | 'gatedMlp'> {
  /** Counted over the whole backbone. */
  readonly index: number;
  /** Its weights' names start so: `blocks.3`. */
  readonly name: string;
  readonly heads: number;
  readonly mlpWidth: number;
  readonly qkvBias: boolean;
  readonly layerNormEps: number;
}

/**
 * Traces one block: u = x + MHA(LN1 x), y = u + MLP(LN2 u). x [B, T, D] -> [B, T, D]
 *
 * @param attend attention over the normalised tokens [B, T, D]; within windows, it lays them out and back
 */
export function traceBlock(
  block: Block,
  weight: WeightSource,
  hooks: Hooks,
  drop: Drop,
  attend: (x: Tensor) => Tensor,
  x: Tensor,
): Tensor {
  const { index: i, name, layerNormEps: eps } = block;
  let normal = norm(x, `${name}.norm1`, weight, eps);
  normal = hooks.norm1?.(i, normal) ?? normal;
  const attended = scaled(
    block,
    'ls1',
    weight,
    part('attention', () => attend(normal)),
  );
  let middle = add(x, drop(attended, 2 * i));
  middle = hooks.residual1?.(i, x, middle) ?? middle;

  normal = norm(middle, `${name}.norm2`, weight, eps);
  normal = hooks.norm2?.(i, normal) ?? normal;
  const transformed = scaled(
    block,
    'ls2',
    weight,
    part('mlp', () => mlp(block, weight, hooks, normal)),
  );
  const sum = add(middle, drop(transformed, 2 * i + 1));
  return hooks.residual2?.(i, middle, sum) ?? sum;
}

/** Layer scale: γ⊙x, where the block has one. Touvron et al. 2021, arXiv:2103.17239, Eq. 4 */
function scaled({ name, layerScale }: Block, which: string, weight: WeightSource, x: Tensor): Tensor {
  return layerScale ? mul(x, weight(`${name}.${which}.gamma`, [x.shape.at(-1)!])) : x;
}

/**
 * Multi-head self-attention: softmax(q·kᵀ/√(D/H) + bias)·v, heads joined and projected. x [B, T, D] -> [B, T, D]
 *
 * @param bias [W, H, T, T], added to the scores of each W rows of B in turn. Keys that a hook adds in front get none
 * @param rotate turns queries and keys by their places; keys that a hook adds have none
 */
export function attention(
  { index, name: block, heads: H, qkvBias, qkNorm, layerNormEps }: Block,
  weight: WeightSource,
  hooks: Hooks,
  x: Tensor,
  bias: Tensor | null = null,
  rotate: Rotation = (t) => t,
): Tensor {
  const [B, T, D] = x.shape as [number, number, number];
  const name = `${block}.attn`;
  const project = (t: Tensor) =>
    linear(t, weight(`${name}.qkv.weight`, [3 * D, D]), qkvBias ? weight(`${name}.qkv.bias`, [3 * D]) : null);
  const normalised = (t: Tensor, which: string) => (qkNorm ? norm(t, `${name}.${which}`, weight, layerNormEps) : t);
  const inHeads = (qkv: Tensor): [Tensor, Tensor, Tensor] => {
    const [queries, keys, values] = split(qkv, 2, [D, D, D]).map((t) => perHead(t, H)) as [Tensor, Tensor, Tensor];
    return [normalised(queries, 'q_norm'), normalised(keys, 'k_norm'), values];
  };
  let qkv = project(x);
  qkv = hooks.qkv?.(index, qkv, x) ?? qkv;
  let [queries, keys, values] = inHeads(qkv);
  [queries, keys] = [rotate(queries), rotate(keys)];
  if (hooks.keysValues) {
    const ofOthers = (tokens: Tensor) => {
      const [, keys, values] = inHeads(project(norm(tokens, `${block}.norm1`, weight, layerNormEps)));
      return { keys, values };
    };
    ({ keys, values } = hooks.keysValues(index, { keys, values }, ofOthers));
  }

  let scores = matmul(scale(queries, (D / H) ** -0.5), keys, false, true); // [B, H, T, K], K = T and what a hook added
  if (bias) scores = addBias(scores, bias);
  const own = softmax(scores);
  const shares = hooks.attention?.(index, own) ?? own;
  const mixed = matmul(shares, values); // [B, H, T, D/H]
  const joined = reshape(transpose(mixed, [0, 2, 1, 3]), [B, T, D]);
  const projected = linear(joined, weight(`${name}.proj.weight`, [D, D]), weight(`${name}.proj.bias`, [D]));
  return hooks.projection?.(index, projected) ?? projected;
}

/** [B, T, D] -> [B, H, T, D/H] */
export function perHead(t: Tensor, H: number): Tensor {
  const [B, T, D] = t.shape as [number, number, number];
  return transpose(reshape(t, [B, T, H, D / H]), [0, 2, 1, 3]);
}

/** scores [B, H, T, K] + bias [W, H, T, T], K ≥ T */
function addBias(scores: Tensor, bias: Tensor): Tensor {
  const [B, H, T, K] = scores.shape as [number, number, number, number];
  const W = bias.shape[0]!;
  const wide = K > T ? concat([zeros([W, H, T, K - T]), bias], 3) : bias;
  if (W === 1) return add(scores, wide);
  return reshape(add(reshape(scores, [B / W, W, H, T, K]), wide), scores.shape);
}

/** fc2(f(fc1 x)), f the activation; gated, fc2(f(a)⊙b) with [a, b] = fc1 x. x [B, T, D] -> [B, T, D] */
function mlp(
  { index, name, mlpWidth: M, activation = 'gelu', gatedMlp }: Block,
  weight: WeightSource,
  hooks: Hooks,
  x: Tensor,
): Tensor {
  const D = x.shape.at(-1)!;
  let hidden = linear(x, weight(`${name}.mlp.fc1.weight`, [M, D]), weight(`${name}.mlp.fc1.bias`, [M])); // [B, T, M]
  hidden = hooks.fc1?.(index, hidden) ?? hidden;
  const active = gatedMlp ? gated(hidden, ACTIVATIONS[activation]) : ACTIVATIONS[activation](hidden);
  const from = active.shape.at(-1)!;
  const y = linear(active, weight(`${name}.mlp.fc2.weight`, [D, from]), weight(`${name}.mlp.fc2.bias`, [D]));
  return hooks.fc2?.(index, y) ?? y;
}

/** f(a)⊙b, [a, b] = x. Shazeer 2020, arXiv:2002.05202. x [B, T, M] -> [B, T, M/2] */
function gated(x: Tensor, f: (x: Tensor) => Tensor): Tensor {
  const half = x.shape[2]! / 2;
  const [gate, value] = split(x, 2, [half, half]) as [Tensor, Tensor];
  return mul(f(gate), value);
}

/**
 * Cuts images into patches, row by row, and maps each to `width` numbers: a convolution whose stride is its kernel.
 * images [B, channels, height, width] -> [B, (height/P)·(width/P), width], or [B, kept, width]
 *
 * @param keptPatches int64 [B, kept], or null: all
 * @param bias whether one is added
 */
export function patchEmbedding(
  patchSize: number,
  width: number,
  weight: WeightSource,
  images: Tensor,
  keptPatches: Tensor | null = null,
  bias = true,
): Tensor {
  const [B, C, ...sides] = images.shape as [number, number, number, number];
  const P = patchSize;
  const [rows, columns] = sides.map((side) => side / P) as [number, number];
  let x = reshape(images, [B, C, rows, P, columns, P]);
  x = transpose(x, [0, 2, 4, 1, 3, 5]); // [B, rows, columns, C, P, P]
  x = reshape(x, [B, rows * columns, C * P * P]);
  if (keptPatches) x = takeTokens(x, keptPatches);
  const kernel = reshape(weight('patch_embed.proj.weight', [width, C, P, P]), [width, C * P * P]);
  return linear(x, kernel, bias ? weight('patch_embed.proj.bias', [width]) : null);
}
