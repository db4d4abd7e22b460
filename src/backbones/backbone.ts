/** What every backbone offers to the rooms behind it: its sizes, its input, its frozen weights. */
import type { Tensor } from '../graph/tensor.js';
import type { Hooks } from './hooks.js';

/** The sizes of a plain ViT, in timm's meaning. */
export interface ViTConfig {
  readonly family: 'vit';
  /** Side of the square input, in pixels. */
  readonly imageSize: number;
  readonly patchSize: number;
  readonly channels: number;
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
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
  readonly width: number;
  readonly heads: number;
  /** Tokens of one image. */
  readonly tokens: number;
  readonly mlpWidth: number;
}

/** A weight by timm's name: a constant when frozen, a parameter when trained. */
export type WeightSource = (name: string, shape: readonly number[]) => Tensor;

export interface BackboneInputs {
  /** [B, channels, S, S], normalised. */
  readonly images: Tensor;
  /** [blocks, 2, B]: multiplier of each block's attention and MLP branch, not read for the first; null when nothing is dropped. */
  readonly dropPath: Tensor | null;
}

/** What a family of backbones is; one file each. */
export interface Architecture<Config extends BackboneConfig> {
  /** Images -> features [B, width of the last block]. */
  trace(config: Config, weight: WeightSource, hooks: Hooks, inputs: BackboneInputs): Tensor;
  /** Every block in order, counted over all stages: a block's position is the index that hooks receive. */
  blocks(config: Config): readonly BlockSizes[];
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
