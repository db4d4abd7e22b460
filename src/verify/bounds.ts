/**
 * How far idat may lie from a reference: ten times the worse of what PyTorch's own float32 run and a run with gradient
 * noise of 1e-6 do against float64, as the reference's README suggests.
 */

/** Absolute: the largest difference. Relative: the same over the largest magnitude in the tensor. */
export type Kind = 'absolute' | 'relative';

export interface Bound {
  readonly kind: Kind;
  readonly bound: number;
  /** The quantity's key in float32_deviation.json, where PyTorch's own deviation stands. */
  readonly measured: string | null;
}

const relative = (bound: number, measured: string | null = null): Bound => ({ kind: 'relative', bound, measured });
const absolute = (bound: number, measured: string | null = null): Bound => ({ kind: 'absolute', bound, measured });

export const BOUNDS = {
  'one step: losses': absolute(1e-5, 'one step: loss terms'),
  'one step: logits': relative(1e-5, 'one step: logits'),
  'one step: d total / d logits': relative(5e-6, 'one step: d total / d logits'),
  'one step: gradients': relative(2e-5, 'one step: gradients of trainable tensors'),
  'wide adapters: losses': absolute(1e-5, 'one step, wide adapters: loss terms'),
  'wide adapters: logits': relative(1e-5, 'one step, wide adapters: logits'),
  'wide adapters: d total / d logits': relative(5e-6, 'one step, wide adapters: d total / d logits'),
  'wide adapters: gradients': relative(1e-5, 'one step, wide adapters: gradients of trainable tensors'),
  'drop path: losses': absolute(5e-6, 'drop path: loss terms'),
  'drop path: logits': relative(1e-5, 'drop path: logits'),
  'drop path: d total / d logits': relative(5e-6, 'drop path: d total / d logits'),
  'drop path: gradients': relative(1e-5, 'drop path: gradients of trainable tensors'),
  'drop path: rates': absolute(1e-7),
  'trajectory: losses': absolute(5e-5, 'trajectory: per-step losses'),
  'trajectory: final tensors': relative(1e-3, 'trajectory: final trainable tensors'),
  'trajectory: held-out logits': relative(2e-5, 'trajectory: final held-out logits'),
  'trajectory: learning rates': relative(1e-12),
  'baselines: losses': absolute(1e-5, 'baselines: per-step losses'),
  'baselines: final tensors': relative(5e-4, 'baselines: final trainable tensors'),
  'baselines: held-out logits': relative(2e-5, 'baselines: final held-out logits'),
  'baseline step: losses': absolute(1e-5, 'baseline step: loss'),
  'baseline step: logits': relative(1e-5, 'baseline step: logits'),
  'baseline step: gradients': relative(1e-5, 'baseline step: gradients'),
  'baseline step: gradient of the input': relative(1e-5, 'baseline step: gradient of the input'),
  'full fine-tuning: losses': absolute(1e-5, 'full fine-tuning step: loss'),
  'full fine-tuning: logits': relative(1e-5, 'full fine-tuning step: logits'),
  'full fine-tuning: gradients': relative(1e-5, 'full fine-tuning step: gradients'),
  'full fine-tuning: gradient of the input': relative(1e-5, 'full fine-tuning step: gradient of the input'),
  'schedule: learning rates': relative(1e-12),
  'images: decoded, levels of 255': absolute(4),
  'images: resized, levels of 255': absolute(0),
  'images: normalised': absolute(1e-7),
} satisfies Record<string, Bound>;

export type Quantity = keyof typeof BOUNDS;
