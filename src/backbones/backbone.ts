/** What every backbone offers to the rooms behind it: its sizes, its input, its frozen weights. */
import type { Tensor } from '../graph/tensor.js';

/** The sizes of a plain ViT, in timm's meaning. */
export interface ViTConfig {
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

/** Frozen weights by timm's names, as constants of a graph. */
export interface Weights {
  has(name: string): boolean;
  /** The tensor as a constant. Throws an IdatError naming tensor, expected and found shape when it does not fit. */
  constant(name: string, shape: readonly number[]): Tensor;
  /** The numbers in memory. */
  values(name: string, shape: readonly number[]): Float32Array;
}

export interface Backbone {
  /** timm's name, or the file's name for a file of the user's own. */
  readonly name: string;
  readonly config: ViTConfig;
  readonly weights: Weights;
  /** Normalisation its weights were trained with: (byte/255 − mean)/std. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** The file the weights come from, and the sha256 of its bytes. */
  readonly path: string;
  readonly sha256: string;
}
