/** What every backbone offers to the rooms behind it: its sizes, its input, its frozen weights. */

import type { Tensor } from '../graph/tensor.js';
import type { ImageSize } from '../image-size.js';
import type { Hooks } from './hooks.js';

/** What a ViT's MLPs put between their products; activations.ts has the formulas. */
export type Activation = 'gelu' | 'gelu_tanh' | 'quick_gelu' | 'silu';

/**
 * What the head reads of a ViT's tokens: the class token; the mean of class and distillation token; the mean over the
 * patches; what one learned query gathers from all tokens (pooling.ts).
 */
export type Pooling = 'token' | 'distilled' | 'avg' | 'map';

/**
 * In what a ViT differs from the plain one. All may be left out, and what is left out is as in the plain one: so a plain
 * ViT's sizes read as they always have.
 */
export interface ViTVariations {
  /** False: patches alone. */
  readonly classToken?: boolean;
  /** A second token in front, which DeiT taught by a teacher's labels. */
  readonly distillationToken?: boolean;
  /** Tokens in front that hold nothing of the image. */
  readonly registers?: number;
  /**
   * Which tokens have learned positions: those of class and distillation and the patches (the default); registers too
   * (`all`); patches alone; none.
   */
  readonly positions?: 'all' | 'patches' | 'none';
  /** Queries and keys of patches are turned by their place in the image (rotary.ts); the base of the turns' periods. */
  readonly rotary?: number;
  /** False: the patch embedding adds no bias. */
  readonly patchBias?: boolean;
  /** A norm before the first block. */
  readonly preNorm?: boolean;
  /** Each branch of a block is multiplied by a learned factor for each of its numbers. */
  readonly layerScale?: boolean;
  /** Queries and keys are normalised within each head. */
  readonly qkNorm?: boolean;
  /** Default: the exact GELU. */
  readonly activation?: Activation;
  /** The MLP's first product makes two halves of `mlpWidth`: the one, activated, multiplies the other. */
  readonly gatedMlp?: boolean;
  /** Default: the class token. */
  readonly pool?: Pooling;
  /** The last norm stands behind the pooling, as `fc_norm`. */
  readonly normAfterPool?: boolean;
}

/** The sizes of a ViT, in timm's meaning. */
export interface ViTConfig extends ViTVariations {
  readonly family: 'vit';
  /** Of the input, in pixels. */
  readonly imageSize: ImageSize;
  readonly patchSize: number;
  readonly channels: number;
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  /** Rows of fc1. */
  readonly mlpWidth: number;
  readonly qkvBias: boolean;
  readonly layerNormEps: number;
}

/** The sizes of a Swin transformer, in timm's meaning. Each stage has half the grid and twice the width of the one before. */
export interface SwinConfig {
  readonly family: 'swin';
  /** Side of the square input, in pixels. */
  readonly imageSize: number;
  readonly patchSize: number;
  readonly channels: number;
  /** Width of the first stage. */
  readonly embedWidth: number;
  /** Blocks of each stage. */
  readonly depths: readonly number[];
  /** Heads of each stage's blocks. */
  readonly heads: readonly number[];
  /** Side of a window, in tokens; a stage whose grid is smaller has one window of the whole grid. */
  readonly windowSize: number;
  /** MLP width over block width. */
  readonly mlpRatio: number;
  readonly qkvBias: boolean;
  readonly layerNormEps: number;
}

/** The sizes of a backbone; architecture.ts answers what the rooms behind ask of any family. */
export type BackboneConfig = ViTConfig | SwinConfig;

/** Sizes known from elsewhere; they win over what a file says. */
export type BackboneSizes = Partial<ViTConfig> | Partial<SwinConfig>;

/** One block's sizes. */
export interface BlockSizes {
  /** Its weights' names start so: `blocks.3`, `layers.2.blocks.3`. */
  readonly name: string;
  /** Blocks of one stage have the same width; a ViT has one stage. */
  readonly stage: number;
  readonly width: number;
  readonly heads: number;
  /** Tokens of one image. */
  readonly tokens: number;
  readonly mlpWidth: number;
}

/** A weight by timm's name: a constant when frozen, a parameter when trained. */
export type WeightSource = (name: string, shape: readonly number[]) => Tensor;

export interface BackboneInputs {
  /** [B, channels, height, width], normalised. */
  readonly images: Tensor;
  /** [blocks, 2, B]: multiplier of each block's attention and MLP branch, not read for the first; null when nothing is dropped. */
  readonly dropPath: Tensor | null;
  /** Position of the first block of which anything is dropped; default, and at least: 1. */
  readonly dropPathFrom?: number;
  /** int64 [B, kept]: the patches to keep of each image, with their positions; null or left out: all. */
  readonly keptPatches?: Tensor | null;
}

/** What a family of backbones is; one file each. */
export interface Architecture<Config extends BackboneConfig> {
  /** Images -> features [B, width of the last block]. */
  trace(config: Config, weight: WeightSource, hooks: Hooks, inputs: BackboneInputs): Tensor;
  /** Every block in order, counted over all stages: a block's position is the index that hooks receive. */
  blocks(config: Config): readonly BlockSizes[];
  /** Patches of an image, where some may be left out of it (`keptPatches`); absent where all are needed. */
  patches?(config: Config): number;
  /** Whether the first token is the class token. */
  hasClassToken(config: Config): boolean;
  /** What published weights were trained with. */
  readonly normalisation: Normalisation;
}

/** Frozen weights by timm's names, as constants of a graph. */
export interface Weights {
  has(name: string): boolean;
  /** The tensor as a constant. Throws an IdatError naming tensor, expected and found shape when it does not fit. */
  constant(name: string, shape: readonly number[]): Tensor;
  /** The numbers in memory. */
  values(name: string, shape: readonly number[]): Float32Array;
}

/** Normalisation of an image: (byte/255 − mean)/std, for each channel. */
export interface Normalisation {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

export interface Backbone extends Normalisation {
  /** timm's name, or the file's name for a file of the user's own. */
  readonly name: string;
  readonly config: BackboneConfig;
  readonly weights: Weights;
  /** The file the weights come from, and the sha256 of its bytes. */
  readonly path: string;
  readonly sha256: string;
}
