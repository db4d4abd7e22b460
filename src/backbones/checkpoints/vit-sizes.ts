/** A ViT's sizes, from the shapes of its tensors where they show and from what is known beside them where they do not. */
import { IdatError, printable } from '../../errors.js';
import { type ImageSize, imageSizeOf, imageSizeText } from '../../image-size.js';
import { ALL_ACTIVATIONS, activationByName } from '../activations.js';
import type { Activation, Pooling, ViTConfig, ViTVariations } from '../backbone.js';
import { patchGrid } from '../vit.js';
import { type Checkpoint, countOf, shapeOf } from './naming.js';
import { publishedHeads } from './vit-heads.js';

/** What shapes do not tell. */
export interface ViTFacts {
  /** Default: those of the published ViT of these sizes (vit-heads.ts). */
  readonly heads?: number | undefined;
  /** Default: 1e-6, timm's and the paper's. */
  readonly layerNormEps?: number | undefined;
  /** Default: the exact GELU, of a gated MLP SiLU; a ViT with a norm before its blocks (CLIP) has to say. */
  readonly activation?: Activation | undefined;
  /** Default: what the tensors are made for, and the class token where they are made for any. */
  readonly pool?: Pooling | undefined;
  /** Base of the periods of rotary positions; default: none. */
  readonly rotary?: number | undefined;
  /** Of the image where no positions tell it: where there are none, or where their grid is no square. */
  readonly imageSize?: ImageSize | undefined;
}

/** @throws IdatError `backbone.tensor` when a tensor that tells a size is missing or of another rank */
export function viTSizes(
  file: Pick<Checkpoint, 'path' | 'tensors'>,
  { heads, layerNormEps = 1e-6, imageSize, ...facts }: ViTFacts,
  title: string,
): ViTConfig {
  const shape = (name: string, rank: number) => shapeOf(file, name, rank, title);
  const [width, channels, patchSize] = shape('patch_embed.proj.weight', 4) as [number, number, number];
  const depth = countOf(file.tensors, (block) => `blocks.${block}.norm1.weight`);
  const mlpWidth = shape('blocks.0.mlp.fc1.weight', 2)[0]!;
  const tokens = facts.rotary === undefined || file.tensors.has('pos_embed') ? shape('pos_embed', 3)[1]! : null;
  const registers = file.tensors.has('reg_token') ? shape('reg_token', 3)[1]! : 0;
  const { grid, positions } = gridOf(
    file,
    tokens,
    registers,
    imageSize ? patchGrid({ imageSize, patchSize }) : undefined,
  );
  const gated = mlpWidth === 2 * shape('blocks.0.mlp.fc2.weight', 2)[1]!;
  return {
    family: 'vit',
    imageSize: grid === null ? (imageSize ?? 224) : imageSizeOf(grid[0] * patchSize, grid[1] * patchSize),
    patchSize,
    channels,
    width,
    depth,
    // none: refused below, in a sentence that asks for them
    heads: heads ?? publishedHeads({ width, depth, mlpWidth }) ?? 0,
    mlpWidth,
    qkvBias: file.tensors.has('blocks.0.attn.qkv.bias'),
    layerNormEps,
    ...variationsOf(file, facts, gated),
    ...(registers > 0 && { registers }),
    ...(positions && { positions }),
  };
}

/** Rows and columns of patches. */
type Grid = readonly [rows: number, columns: number];

/**
 * The grid of patches, and which tokens have positions: as many as leave the grid that is said, or else a square.
 *
 * @param tokens rows of positions, or null: there are none
 * @param said what is known beside the tensors; that of square images counts for nothing, as positions may be resized ones
 * @throws IdatError `backbone.positions` where none leaves either
 */
function gridOf(
  { path, tensors }: Pick<Checkpoint, 'path' | 'tensors'>,
  tokens: number | null,
  registers: number,
  said: Grid | undefined,
): { grid: Grid | null } & Pick<ViTVariations, 'positions'> {
  if (tokens === null) return { grid: null, positions: 'none' };
  const front = Number(tensors.has('cls_token')) + Number(tensors.has('dist_token'));
  const places = [
    { count: front, positions: undefined },
    { count: 0, positions: 'patches' },
    { count: front + registers, positions: 'all' },
  ] as const;
  const square = (count: number): Grid | null => {
    const side = Math.sqrt(tokens - count);
    return tokens > count && Number.isInteger(side) ? [side, side] : null;
  };
  const oblong = (count: number) => (said && said[0] !== said[1] && said[0] * said[1] === tokens - count ? said : null);
  for (const gridWithout of [oblong, square]) {
    for (const { count, positions } of places) {
      const grid = gridWithout(count);
      if (grid) return { grid, ...(positions && { positions }) };
    }
  }
  throw new IdatError(
    'backbone.positions',
    `${path}: ${tokens} positions leave no square grid of patches behind ${front} tokens in front; if its images are no squares, store height and width as img_size in the file's metadata, such as 160,224, or put the model's config.json beside the file`,
  );
}

/** What the tensors, and what is known beside them, tell of a ViT that is not plain. */
function variationsOf(
  { path, tensors }: Pick<Checkpoint, 'path' | 'tensors'>,
  { activation, pool, rotary }: ViTFacts,
  gated: boolean,
): ViTVariations {
  const has = (name: string) => tensors.has(name);
  const preNorm = has('norm_pre.weight');
  if (preNorm && activation === undefined) {
    const asked = "store it as act_layer in the file's metadata, or put the model's config.json beside the file";
    throw new IdatError(
      'backbone.activation',
      `${path}: cannot tell whether its MLPs compute gelu or quick_gelu, both of which CLIP models have; ${asked}`,
    );
  }
  const active = activation ?? (gated ? 'silu' : 'gelu');
  const pooling = poolingOf(path, has, pool);
  return {
    ...(!has('cls_token') && { classToken: false }),
    ...(has('dist_token') && { distillationToken: true }),
    ...(rotary !== undefined && { rotary }),
    ...(!has('patch_embed.proj.bias') && { patchBias: false }),
    ...(preNorm && { preNorm }),
    ...(has('blocks.0.ls1.gamma') && { layerScale: true }),
    ...(has('blocks.0.attn.q_norm.weight') && { qkNorm: true }),
    ...(active !== 'gelu' && { activation: active }),
    ...(gated && { gatedMlp: true }),
    ...(pooling !== 'token' && { pool: pooling }),
    ...(has('fc_norm.weight') && !has('norm.weight') && { normAfterPool: true }),
  };
}

function poolingOf(path: string, has: (name: string) => boolean, named: Pooling | undefined): Pooling {
  if (has('attn_pool.latent')) return 'map';
  const front = has('cls_token');
  // timm names the pooling of distilled models by their class token
  if (front && has('dist_token') && named !== 'avg') return 'distilled';
  const pooling = named ?? (front && (has('norm.weight') || !has('fc_norm.weight')) ? 'token' : 'avg');
  if (pooling === 'avg' || (pooling === 'token' && front)) return pooling;
  throw new IdatError(
    'backbone.pooling',
    `${path}: its features are said to be pooled by '${pooling}', and it lacks the tensors for that; correct global_pool in its metadata or config.json`,
  );
}

/** The facts that names of timm stand for. @throws IdatError for what idat does not compute */
export function namedFacts(
  path: string,
  { activation, pool }: { activation?: string | undefined; pool?: string | undefined },
): Pick<ViTFacts, 'activation' | 'pool'> {
  const active = activation === undefined ? undefined : activationByName(activation);
  if (activation !== undefined && active === undefined) {
    const what = `its activation is '${printable(activation)}'; idat computes ${ALL_ACTIVATIONS.join(', ')}`;
    throw new IdatError('backbone.activation', `${path}: ${what}, choose another model`);
  }
  const pools: Readonly<Record<string, Pooling>> = { token: 'token', avg: 'avg', map: 'map', distilled: 'distilled' };
  const pooling = pool ? pools[pool] : undefined;
  if (pool && pooling === undefined) {
    const what = `its features are pooled by '${printable(pool)}'; idat computes token, avg and map`;
    throw new IdatError('backbone.pooling', `${path}: ${what}, choose another model`);
  }
  return { activation: active, pool: pooling };
}
/** Tokens beyond this, attention over them would not fit into any memory. */
const MAX_TOKENS = 2 ** 16;

/** Of a ViT or a Swin. Several times the deepest published; a graph of thousands of blocks would be deeper than the stack. */
export const MAX_DEPTH = 256;

/** @throws IdatError when the sizes do not fit each other */
export function checkViTSizes(path: string, config: ViTConfig): void {
  const { heads, width, imageSize, patchSize, depth, channels, rotary, gatedMlp, mlpWidth } = config;
  if (!Number.isInteger(heads) || heads < 1 || width % heads !== 0) {
    throw new IdatError(
      'backbone.heads',
      `${path}: cannot tell the number of heads for width ${width}; store it as num_heads in the file's metadata, or put the model's config.json beside the file`,
    );
  }
  if (rotary !== undefined && (!(rotary > 0 && rotary < Infinity) || (width / heads) % 4 !== 0)) {
    const what = `rotary positions of base ${rotary} for heads of ${width / heads} numbers`;
    throw new IdatError('backbone.rotary', `${path}: ${what}, which must be a multiple of 4`);
  }
  if (gatedMlp && mlpWidth % 2 !== 0) {
    throw new IdatError('backbone.sizes', `${path}: an MLP of ${mlpWidth} numbers has no two equal halves`);
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
  const grid = patchGrid(config);
  const size = imageSizeText(imageSize);
  if (!grid.every((side) => Number.isInteger(side) && side >= 1)) {
    throw new IdatError(
      'backbone.imageSize',
      `${path}: image size ${size} is not a multiple of patch size ${patchSize}`,
    );
  }
  if (grid[0] * grid[1] > MAX_TOKENS) {
    const what = `images of ${size} pixels make more than ${MAX_TOKENS} patches of ${patchSize}`;
    throw new IdatError('backbone.imageSize', `${path}: ${what}; use smaller images`);
  }
}
