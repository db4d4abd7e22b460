/** The ways in which idat itself takes part. A new one is a line. */
import type { FineTuneInput } from '../src/index.js';
import type { ModelSpec, StepOptions } from '../src/train/step.js';

interface Variant {
  readonly name: string;
  /** What differs from the plain model, for student and teacher. */
  readonly model: Partial<ModelSpec>;
  /** What differs from the plain step. */
  readonly step: Partial<StepOptions>;
  /** The same as settings of a training run, whose peak memory is measured. */
  readonly settings: Partial<FineTuneInput>;
  /** Whether its losses must agree with PyTorch's float32; those of others are only reported. */
  readonly exact: boolean;
}

export const VARIANTS = [
  { name: 'float32', model: {}, step: {}, settings: {}, exact: true },
] as const satisfies readonly Variant[];

export type VariantName = (typeof VARIANTS)[number]['name'];

export const variantNamed = (name: VariantName): Variant => VARIANTS.find((variant) => variant.name === name)!;
