/** The ways in which idat itself takes part. A new one is a line. */
import type { ModelSpec } from '../src/train/step.js';

interface Variant {
  readonly name: string;
  /** What differs from the plain model. */
  readonly model: Partial<ModelSpec>;
  /** Whether its losses must agree with PyTorch's float32; those of others are only reported. */
  readonly exact: boolean;
}

export const VARIANTS = [{ name: 'float32', model: {}, exact: true }] as const satisfies readonly Variant[];

export type VariantName = (typeof VARIANTS)[number]['name'];

export const variantNamed = (name: VariantName): Variant => VARIANTS.find((variant) => variant.name === name)!;
