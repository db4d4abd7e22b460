/**
 * Where a model looks: how what the head reads shares its attention over the patches of an image (the paper's Figure 5).
 *
 * Letters: H heads, T tokens (queries), K keys, N patches, rows × columns of their grid; g its side where it is a square.
 */
import { gridOf } from '../backbones/architecture.js';
import type { BackboneConfig } from '../backbones/backbone.js';
import { windowOrder } from '../backbones/windows.js';
import { IdatError } from '../errors.js';
import { pixelsOf } from '../image-size.js';

/** Attention over an image's patches, row by row: [g·g]. What does not sum to 1 went to tokens that are no patches. */
export interface AttentionMaps {
  readonly grid: readonly [rows: number, columns: number];
  /** One map a head. */
  readonly heads: readonly (readonly number[])[];
  /** Their mean. */
  readonly mean: readonly number[];
  /** Attention through all blocks, with what each passes on unchanged; where it was asked for. */
  readonly rollout: readonly number[] | null;
}

/** One block's attention for one image: shares [rows, H, T, K], of a Swin a row a window, otherwise one. */
export interface BlockAttention {
  readonly shares: Float32Array;
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
}

/** Which queries' attention is looked at, in words. */
export type Reader = 'class token' | 'class and distillation token' | 'mean of the patches' | 'pooling query';

/**
 * The block to look at and who reads there: the class token in the last block; where the head reads no token but a mean, that mean's
 * queries; where a query of its own gathers all tokens, that query.
 */
export function readerOf(config: BackboneConfig, blocks: number): { block: number; reader: Reader } {
  const last = blocks - 1;
  const pool = config.family === 'vit' ? (config.pool ?? 'token') : 'avg';
  if (pool === 'map') return { block: blocks, reader: 'pooling query' };
  if (pool === 'distilled') return { block: last, reader: 'class and distillation token' };
  return { block: last, reader: pool === 'token' ? 'class token' : 'mean of the patches' };
}

/**
 * @param attention of the block that `readerOf` names
 * @param rollout what `attentionRollout` gave, or null
 */
export function attentionMaps(
  config: BackboneConfig,
  reader: Reader,
  attention: BlockAttention,
  rollout: readonly number[] | null = null,
): AttentionMaps {
  const heads = config.family === 'swin' ? swinMaps(config, attention) : vitMaps(config, reader, attention);
  const mean = heads[0]!.map((_, i) => heads.reduce((sum, map) => sum + map[i]!, 0) / heads.length);
  return { grid: gridOf(config, mean.length)!, heads, mean, rollout };
}

type Of<Family> = Extract<BackboneConfig, { family: Family }>;

/** Patches are the last of the queries and the last of the keys: what methods add stands in front. */
function vitMaps({ imageSize, patchSize }: Of<'vit'>, reader: Reader, attention: BlockAttention): number[][] {
  const { shares, heads: H, queries: T, keys: K } = attention;
  const N = pixelsOf(imageSize) / patchSize ** 2;
  const [first, end] = queriesOf(reader, T, N);
  return Array.from({ length: H }, (_, h) =>
    Array.from({ length: N }, (_, n) => {
      let sum = 0;
      for (let t = first; t < end; t++) sum += shares[(h * T + t) * K + K - N + n]!;
      return sum / (end - first);
    }),
  );
}

function queriesOf(reader: Reader, T: number, N: number): [first: number, end: number] {
  if (reader === 'mean of the patches') return [T - N, T];
  return [0, reader === 'class and distillation token' ? 2 : 1];
}

/** The mean over all queries of the last stage: each token is looked at from its own window alone. */
function swinMaps(config: Of<'swin'>, { shares, heads: H }: BlockAttention): number[][] {
  const { imageSize, patchSize, depths, windowSize } = config;
  const g = imageSize / patchSize / 2 ** (depths.length - 1);
  const window = Math.min(windowSize, g);
  const shift = (depths.at(-1)! - 1) % 2 === 1 && g > window ? Math.floor(window / 2) : 0;
  const order = windowOrder(g, window, shift);
  const n = window ** 2;
  return Array.from({ length: H }, (_, h) => {
    const map = new Array<number>(g * g).fill(0);
    order.forEach((place, at) => {
      const [w, key] = [Math.floor(at / n), at % n];
      for (let query = 0; query < n; query++) map[place]! += shares[((w * H + h) * n + query) * n + key]! / (g * g);
    });
    return map;
  });
}

/**
 * Attention rollout: the rows of Ā_L ⋯ Ā_1 that the head reads, over the patches; Ā = ½(mean over heads of A) + ½I, as half of
 * what a block hands on passes it unchanged.
 *
 * @param blocks of one image, the first block first, each [1, H, T, T]
 * @throws IdatError `analysis.rollout` for models whose tokens change from block to block: Swins, methods that add keys
 * @param tokens T, the same in all blocks
 * @see Abnar and Zuidema 2020, arXiv:2005.00928, section 3
 */
export function attentionRollout(blocks: readonly BlockAttention[], patches: number, reader: Reader): number[] {
  const T = blocks[0]!.queries;
  if (reader === 'pooling query' || blocks.some(({ queries, keys }) => queries !== T || keys !== T)) {
    const what = 'rollout needs the same tokens as queries and keys of all blocks, which this model does not have';
    throw new IdatError('analysis.rollout', `attention: ${what}; leave rollout out`);
  }
  const [first, end] = queriesOf(reader, T, patches);
  // from the last block to the first, so that rows are multiplied and no matrices
  let row = new Float64Array(T);
  for (let t = first; t < end; t++) row[t] = 1 / (end - first);
  for (const { shares, heads: H } of [...blocks].reverse()) {
    const next = new Float64Array(T);
    for (let t = 0; t < T; t++) {
      if (row[t] === 0) continue;
      next[t]! += 0.5 * row[t]!;
      for (let h = 0; h < H; h++) {
        const at = (h * T + t) * T;
        for (let k = 0; k < T; k++) next[k]! += (0.5 * row[t]! * shares[at + k]!) / H;
      }
    }
    row = next;
  }
  return [...row.subarray(T - patches)];
}
