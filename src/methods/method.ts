/** What a tuning method is: which tensors it adds, and where it hooks into a block. One method, one file. */
import type { z } from 'zod';
import type { BackboneConfig } from '../backbones/backbone.js';
import type { Hooks } from '../backbones/hooks.js';
import type { Tensor } from '../graph/tensor.js';
import type { RandomStream } from '../random.js';

/** Starting values for a tensor of `size` numbers. */
export type Initialiser = (size: number, random: RandomStream) => Float32Array;

/** Hands out a model's trainable tensors. */
export interface Scope {
  /** The trainable tensor of that name; asked for twice, the same one, so that a module can be shared. */
  tensor(name: string, shape: readonly number[], init: Initialiser): Tensor;
}

export interface Method<Options = unknown> {
  readonly name: string;
  readonly title: string;
  /** Where it was published, and the equation or table it follows. */
  readonly paper: string;
  readonly options: z.ZodType<Options>;
  /** Whether the backbone's own tensor of that name is trained too. */
  trains(backboneTensor: string): boolean;
  /** Widths come from `x.shape` or from `blocks(config)` (backbones/architecture.ts). */
  hooks(scope: Scope, config: BackboneConfig, options: Options): Hooks;
}

/**
 * N(0, std²) with values beyond ±2 drawn again: timm's trunc_normal_, whose bounds are absolute and so, at std 0.02,
 * never met.
 */
export const truncatedNormal =
  (std: number): Initialiser =>
  (size, random) =>
    Float32Array.from({ length: size }, () => {
      let value = std * random.normal();
      while (Math.abs(value) > 2) value = std * random.normal();
      return value;
    });

export const zeroInit: Initialiser = (size) => new Float32Array(size);
