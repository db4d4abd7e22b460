/** The ways in which idat itself takes part. A new one is a line. */
import type { FineTuneInput } from '../src/index.js';
import type { StepOptions } from '../src/step/train-step.js';

interface Variant {
  readonly name: string;
  /** What differs from the plain step. */
  readonly step: Partial<StepOptions>;
  /** Whether the step reads what the frozen prefixes gave, as training does from the second epoch on. */
  readonly prefix: boolean;
  /** The same as settings of a training run, whose peak memory is measured. */
  readonly settings: Partial<FineTuneInput>;
  /** Whether its losses must agree with PyTorch's float32; those of others are only reported. */
  readonly exact: boolean;
}

export const VARIANTS = [
  { name: 'float32', step: {}, prefix: true, settings: {}, exact: true },
  { name: 'float32 whole', step: {}, prefix: false, settings: { disable: ['frozen-prefix'] }, exact: true },
  {
    name: 'int8',
    step: { frozen: 'int8', microBatch: 4 },
    prefix: true,
    settings: { frozen: 'int8', microBatch: 4 },
    exact: false,
  },
] as const satisfies readonly Variant[];

export type VariantName = (typeof VARIANTS)[number]['name'];

export const variantNamed = (name: VariantName): Variant => VARIANTS.find((variant) => variant.name === name)!;
