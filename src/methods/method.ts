/** What a tuning method is: which tensors it adds, and where it hooks into a block. One method, one file. */
import type { z } from 'zod';
import type { BackboneConfig } from '../backbones/backbone.js';
import type { Hooks } from '../backbones/hooks.js';
import type { Region } from '../backbones/region.js';
import type { Shape, Tensor } from '../graph/tensor.js';
import type { RandomStream } from '../random.js';
import type { HeadInitialisers, Initialiser } from './parts/initialisers.js';

/** A kind of backbone. */
export type Family = BackboneConfig['family'];

/** Hands out what a method adds to a graph: trainable tensors, and numbers drawn at random in each step. */
export interface Scope {
  /** Whether a training step is traced; otherwise nothing is drawn and dropout does nothing. */
  readonly training: boolean;
  /**
   * The trainable tensor of that name; asked for twice, the same one, so that a module can be shared.
   *
   * @param mask 1 for the entries that train and 0 for those that keep their starting values, drawn once for a run:
   *   gradients are multiplied by it
   */
  tensor(name: string, shape: Shape, init: Initialiser, mask?: Initialiser): Tensor;
  /**
   * Whole numbers from 0 to 255 drawn anew at every step: a float32 tensor, fed by the training loop. In training only.
   *
   * @param name of its own: asked for twice it is an error, as equal numbers were hardly meant
   * @param each `image`: each image has numbers of its own, one image's after another's along the first axis; `batch`:
   *   all images of a batch share them
   * @param fill draws the numbers of one image, or of the batch
   */
  draw(name: string, shape: Shape, each: 'image' | 'batch', fill: Fill): Tensor;
  /**
   * x [B, …] with each number put to 0 at the given rate in training, and what is left divided by 1 − rate. At rate 0,
   * and in evaluation, x itself.
   *
   * @param name of the place in the model, each with random numbers of its own
   */
  dropout(name: string, x: Tensor, rate: number): Tensor;
}

/** Draws numbers into an array. */
export type Fill = (values: Uint8Array, random: RandomStream) => void;

/** Where merging finds the numbers of a trained model. */
export interface MergeSource {
  /** A trained tensor’s numbers, by the name the method gave it, in an array of their own. */
  tuned(name: string): Float32Array;
  /** A frozen tensor’s numbers, by timm’s name, in an array of their own. */
  frozen(name: string, shape: Shape): Float32Array;
}

/** Frozen tensors to be replaced, by timm's names; each is computed when it is asked for. */
export type MergedTensors = ReadonlyMap<string, () => Float32Array>;

export interface Method<Options = unknown> {
  readonly name: string;
  readonly title: string;
  /** Where it was published, and the equation or table it follows. */
  readonly paper: string;
  /** What it computes, in plain text; letters are those of the specification's block: u = x + MHA(LN1 x), y = u + MLP(LN2 u). */
  readonly equation: string;
  /** Its options with ranges, defaults and meaning. */
  readonly options: z.ZodType<Options>;
  /** The backbones it is defined on. */
  readonly families: readonly Family[];
  /** Whether the logits of a model that has not been trained yet are those of its backbone and head alone. */
  identityAtStart(options: Options): boolean;
  /**
   * How many numbers are trained besides the head: the published formula, written without looking at what is traced.
   * @param region the blocks it works in: all of them, unless fewer were asked for
   */
  count(config: BackboneConfig, options: Options, region: Region): number;
  /** False where it does nothing in blocks, so that none can be chosen. Default true. */
  readonly inBlocks?: boolean;
  /** Tokens it adds to those of the image for all blocks to work on. Default 0. */
  addedTokens?(options: Options): number;
  /**
   * For methods that train on two passes over each batch, each with draws of its own: what is added to the task's loss of
   * the first for each image, from the logits [B, K] of both -> [B]. All else, such as distillation, reads the first.
   */
  consistency?(first: Tensor, second: Tensor): Tensor;
  /** Starting values of the head in the method's own paper, where they are not those of all others. */
  publishedHead?(width: number): HeadInitialisers;
  /** Whether the backbone's own tensor of that name is trained too, where it belongs to the region. */
  trains(backboneTensor: string): boolean;
  /**
   * What it does in each block. Widths come from `x.shape` or from `region.blocks`. Hooks are only called for the region, so
   * that most methods need not know of it.
   */
  hooks(scope: Scope, config: BackboneConfig, options: Options, region: Region): Hooks;
  /**
   * The frozen tensors that make a plain backbone compute what the tuned one does, where there are such. Computed in
   * float64. A bias that the backbone lacks may be among them; tensors that train themselves need not be. What lies outside of the region is not asked for.
   */
  merge?(config: BackboneConfig, options: Options, source: MergeSource): MergedTensors;
}
