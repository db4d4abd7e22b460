/**
 * What becomes of a ViT's tokens at the end.
 *
 * Letters: B images, T tokens, N patches (the last N of T), D width, H heads.
 */

import {
  add,
  linear,
  matmul,
  reduceMean,
  reshape,
  scale,
  slice,
  softmax,
  split,
  transpose,
} from '../graph/ops/index.js';
import type { Tensor } from '../graph/tensor.js';
import { ACTIVATIONS } from './activations.js';
import type { Pooling, ViTConfig, WeightSource } from './backbone.js';
import { norm, part, perHead } from './block.js';
import type { Hooks } from './hooks.js';

/** Pools tokens [B, T, D], of which the last `patches` are patches -> [B, D] */
type Pool = (config: ViTConfig, weight: WeightSource, x: Tensor, patches: number, hooks: Hooks) => Tensor;

export const POOLINGS: Readonly<Record<Pooling, Pool>> = {
  token: (_config, _weight, x) => reshape(slice(x, 1, 0, 1), [x.shape[0]!, x.shape[2]!]),
  distilled: (_config, _weight, x) => reduceMean(slice(x, 1, 0, 2), [1]),
  avg: (_config, _weight, x, patches) => {
    const T = x.shape[1]!;
    return reduceMean(slice(x, 1, T - patches, T), [1]);
  },
  map: (config, weight, x, _patches, hooks) => part('attention pooling', () => gathered(config, weight, x, hooks)),
};

/**
 * One learned query over all tokens, and an MLP beside the result: y + MLP(LN y).
 * @see Zhai et al. 2022, arXiv:2106.04560, section 3.2
 */
function gathered(
  { heads: H, mlpWidth: M, depth, activation = 'gelu', layerNormEps }: ViTConfig,
  weight: WeightSource,
  x: Tensor,
  hooks: Hooks,
): Tensor {
  const [B, , D] = x.shape as [number, number, number];
  const dense = (name: string, to: number, from: number, t: Tensor) =>
    linear(t, weight(`attn_pool.${name}.weight`, [to, from]), weight(`attn_pool.${name}.bias`, [to]));
  const query = perHead(dense('q', D, D, weight('attn_pool.latent', [1, 1, D])), H); // [1, H, 1, d]
  const [keys, values] = split(dense('kv', 2 * D, D, x), 2, [D, D]).map((t) => perHead(t, H)) as [Tensor, Tensor];
  const scores = matmul(scale(query, (D / H) ** -0.5), keys, false, true); // [B, H, 1, T]
  const own = softmax(scores);
  const shares = hooks.attention?.(depth, own) ?? own;
  const mixed = reshape(transpose(matmul(shares, values), [0, 2, 1, 3]), [B, D]);
  const y = dense('proj', D, D, mixed);
  const hidden = dense('mlp.fc1', M, D, norm(y, 'attn_pool.norm', weight, layerNormEps));
  return add(y, dense('mlp.fc2', D, M, ACTIVATIONS[activation](hidden)));
}
