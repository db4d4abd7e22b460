/**
 * The places of a transformer block where a tuning method may step in. The backbone calls them and knows no method.
 *
 * Letters: B images, T tokens, D width. `block` counts from 0, over all stages. A hook left out changes nothing.
 *
 * A Swin's tokens lie in raster order and number T in its stage, D is the stage's width. Within its attention (`qkv`,
 * `keysValues`, `projection`) each window is a row of its own: B·W rows of N tokens for B images of W windows. Its number
 * of tokens is fixed.
 */
import { type Label, type Tensor, within } from '../graph/tensor.js';

export interface Hooks {
  /** E: the patch embeddings [B, T−1, D], before class token and positions; a Swin's [B, T, D] before their norm. */
  patchEmbedding?(x: Tensor): Tensor;
  /** Swin only: the output of the patch embeddings' norm. */
  patchNorm?(x: Tensor): Tensor;
  /** Swin only: the output [B, T/4, 4D] of the norm of the merging behind a stage, counted from 0. */
  mergingNorm?(stage: number, x: Tensor): Tensor;
  /** T_i: the token sequence [B, T, D] entering a block; in a ViT it may change T. */
  tokens?(block: number, x: Tensor): Tensor;
  /** N1_i: LN1's output, which attention reads. */
  norm1?(block: number, x: Tensor): Tensor;
  /** Q_i: the fused queries, keys, values [B, T, 3D], with LN1's output they come from. */
  qkv?(block: number, qkv: Tensor, norm1: Tensor): Tensor;
  /**
   * KV_i: keys and values per head [B, H, T, D/H]; may be lengthened along T, in front. `of` makes keys and values of other tokens
   * [B or 1, n, D] as the block makes those of its own: through LN1 and its weights.
   */
  keysValues?(block: number, own: KeysValues, of: (tokens: Tensor) => KeysValues): KeysValues;
  /**
   * A_i: how each query shares its attention over the keys, [B, H, T, K]: rows sum to 1, the image's own keys come last. What
   * gathers all tokens in the end, where a ViT's pooling has a query of its own, counts as the block behind the last, T = 1.
   */
  attention?(block: number, shares: Tensor): Tensor;
  /** P_i: the output of attention's projection. */
  projection?(block: number, x: Tensor): Tensor;
  /** R1_i: the stream after the first residual sum, with the block's input. */
  residual1?(block: number, input: Tensor, sum: Tensor): Tensor;
  /** N2_i: LN2's output, which the MLP reads. */
  norm2?(block: number, x: Tensor): Tensor;
  /** F1_i: fc1's output, before GELU. */
  fc1?(block: number, x: Tensor): Tensor;
  /** F2_i: fc2's output. */
  fc2?(block: number, x: Tensor): Tensor;
  /** R2_i: the stream after the second residual sum, with the stream after the first. */
  residual2?(block: number, middle: Tensor, sum: Tensor): Tensor;
  /** NF: the final norm's output. */
  finalNorm?(x: Tensor): Tensor;
}

/** What attention reads: keys and values per head, each [B, H, T, D/H]. */
export interface KeysValues {
  readonly keys: Tensor;
  readonly values: Tensor;
}

/** The same hooks, each labelling what it traces. */
export function labelHooks(hooks: Hooks, label: Label): Hooks {
  const labelled = Object.entries(hooks).map(([point, hook]) => [
    point,
    (...args: unknown[]) => within(label, () => (hook as (...args: unknown[]) => unknown)(...args)),
  ]);
  return Object.fromEntries(labelled) as Hooks;
}
