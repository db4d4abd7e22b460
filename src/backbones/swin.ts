/**
 * The Swin transformer, as its paper writes it and as timm computes it: attention within windows of the token grid,
 * windows shifted by half in every other block, learned biases for relative positions, patches merged between stages,
 * the mean over all tokens at the end. No class token and no position embedding.
 *
 * Letters: B images, T tokens of a stage (in raster order), D its width, H its heads, W windows of N tokens.
 *
 * @see Liu et al. 2021, arXiv:2103.14030; timm 0.6's models/swin_transformer.py for names and order
 */
import { IdatError } from '../errors.js';
import { computedConstant, constantOp, constantValues } from '../graph/ops/constant.js';
import { add, constant, gather, linear, reduceMean, reshape, transpose } from '../graph/ops/index.js';
import { formatShape, sameShape, type Tensor } from '../graph/tensor.js';
import type { Architecture, BackboneInputs, SwinConfig, WeightSource } from './backbone.js';
import { attention, type Block, dropBranches, norm, part, patchEmbedding, traceBlock } from './block.js';
import type { Hooks } from './hooks.js';
import { inverseOrder, relativePositions, shiftMask, windowOrder } from './windows.js';

export const swin: Architecture<SwinConfig> = {
  // the statistics of ImageNet's training images
  normalisation: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  trace: traceSwin,
  hasClassToken: () => false,
  blocks: (config) =>
    stagesOf(config).flatMap(({ depth, width, heads, grid, mlpWidth }, stage) =>
      Array.from({ length: depth }, (_, block) => {
        const name = blockName(stage, block);
        return { name, stage, width, heads, tokens: grid ** 2, mlpWidth };
      }),
    ),
};

const blockName = (stage: number, block: number): string => `layers.${stage}.blocks.${block}`;

/** What the blocks of one stage have in common. */
interface Stage {
  readonly depth: number;
  readonly width: number;
  readonly heads: number;
  readonly mlpWidth: number;
  /** Side of the token grid. */
  readonly grid: number;
  /** Side of a window. */
  readonly window: number;
}

function stagesOf({ imageSize, patchSize, embedWidth, depths, heads, windowSize, mlpRatio }: SwinConfig): Stage[] {
  return depths.map((depth, stage) => {
    const width = embedWidth * 2 ** stage;
    const grid = imageSize / patchSize / 2 ** stage;
    const mlpWidth = Math.trunc(width * mlpRatio);
    return { depth, width, heads: heads[stage]!, mlpWidth, grid, window: Math.min(windowSize, grid) };
  });
}

/** Traces the backbone: images -> the mean over the last stage's normalised tokens, [B, D]. */
function traceSwin(
  config: SwinConfig,
  weight: WeightSource,
  hooks: Hooks,
  { images, dropPath, dropPathFrom }: BackboneInputs,
): Tensor {
  const { patchSize, embedWidth, layerNormEps: eps } = config;
  const drop = dropBranches(dropPath, dropPathFrom);
  let x = part('patch embedding', () => patchEmbedding(patchSize, embedWidth, weight, images));
  x = hooks.patchEmbedding?.(x) ?? x;
  x = norm(x, 'patch_embed.norm', weight, eps);
  x = hooks.patchNorm?.(x) ?? x;

  let index = 0;
  for (const [s, stage] of stagesOf(config).entries()) {
    if (s > 0)
      x = part('patch merging', () => mergePatches(`layers.${s - 1}.downsample`, s - 1, weight, hooks, eps, x));
    const tables = new Map<number, Windows>();
    for (let b = 0; b < stage.depth; b++, index++) {
      const block = { ...config, ...stage, index, name: blockName(s, b) };
      // half a window in every second block; a single window has nothing to be shifted against
      const shift = b % 2 === 1 && stage.grid > stage.window ? Math.floor(stage.window / 2) : 0;
      const windows = tables.get(shift) ?? layOut(stage, shift);
      tables.set(shift, windows);
      x = withSameTokens(hooks.tokens?.(index, x) ?? x, x);
      const attend = (tokens: Tensor) => windowAttention(block, windows, weight, hooks, tokens);
      x = traceBlock(block, weight, hooks, drop, attend, x);
    }
  }
  x = norm(x, 'norm', weight, eps);
  x = hooks.finalNorm?.(x) ?? x;
  return reduceMean(x, [1]);
}

function withSameTokens(x: Tensor, before: Tensor): Tensor {
  if (sameShape(x.shape, before.shape)) return x;
  throw new IdatError(
    'backbone.tokens',
    `a Swin's windows tile the tokens of the image: the tuning method turns ${formatShape(before.shape)} into ${formatShape(x.shape)}; use it with a ViT, or a method that adds no tokens`,
  );
}

/** How a stage's tokens lie in windows. */
interface Windows {
  readonly window: number;
  /** For each token, windows one after the other, its place in the raster. */
  readonly order: readonly number[];
  /** For each token of the raster, its place in the windows. */
  readonly back: readonly number[];
  /** [W, 1, N, N]: −100 between tokens that are no neighbours, or null in windows that are not shifted. */
  readonly mask: Tensor | null;
}

function layOut({ grid, window }: Stage, shift: number): Windows {
  const order = windowOrder(grid, window, shift);
  const N = window ** 2;
  const mask = shift > 0 ? constant([grid ** 2 / N, 1, N, N], shiftMask(grid, window, shift)) : null;
  return { window, order, back: inverseOrder(order), mask };
}

/** Attention within windows: one reordering of the tokens shifts the grid and cuts it, another undoes both. */
function windowAttention(block: Block, windows: Windows, weight: WeightSource, hooks: Hooks, x: Tensor): Tensor {
  const [B, T, D] = x.shape as [number, number, number];
  const N = windows.window ** 2;
  const cut = reshape(gather(x, 1, windows.order), [(B * T) / N, N, D]); // [B·W, N, D]
  const attended = attention(block, weight, hooks, cut, positionBias(block, windows, weight));
  return gather(reshape(attended, [B, T, D]), 1, windows.back);
}

/**
 * What is added to the scores: the bias of each pair's relative position, and in shifted windows the mask.
 * [W, H, N, N], or [1, H, N, N] without a mask
 */
function positionBias({ name, heads: H }: Block, { window, mask }: Windows, weight: WeightSource): Tensor {
  const N = window ** 2;
  const table = weight(`${name}.attn.relative_position_bias_table`, [(2 * window - 1) ** 2, H]);
  const positions = relativePositions(window);
  if (table.node.op === constantOp) {
    // as large as the scores of an image: computed once, where the step would do it anew
    const W = mask?.shape[0] ?? 1;
    return computedConstant([W, H, N, N], () => {
      const masked = mask ? constantValues(mask) : new Float32Array(N * N);
      const values = constantValues(table);
      return Float32Array.from({ length: W * H * N * N }, (_, i) => {
        const pair = i % (N * N);
        const head = Math.floor(i / (N * N)) % H;
        const w = Math.floor(i / (H * N * N));
        return values[positions[pair]! * H + head]! + masked[w * N * N + pair]!;
      });
    });
  }
  const pairs = gather(table, 0, positions); // [N·N, H]
  const bias = reshape(transpose(pairs, [1, 0]), [1, H, N, N]);
  return mask ? add(bias, mask) : bias;
}

/** Joins each square of four tokens and halves what they hold. x [B, T, D] -> [B, T/4, 2D] */
function mergePatches(name: string, stage: number, weight: WeightSource, hooks: Hooks, eps: number, x: Tensor): Tensor {
  const [B, T, D] = x.shape as [number, number, number];
  const half = Math.sqrt(T) / 2;
  let y = reshape(x, [B, half, 2, half, 2, D]);
  y = transpose(y, [0, 1, 3, 4, 2, 5]); // the upper and lower token of the left column, then of the right
  y = norm(reshape(y, [B, T / 4, 4 * D]), `${name}.norm`, weight, eps);
  y = hooks.mergingNorm?.(stage, y) ?? y;
  return linear(y, weight(`${name}.reduction.weight`, [2 * D, 4 * D]));
}
