/** A model's forward pass. */
import type { Program } from '../graph/emit.js';
import type { Tensor } from '../graph/tensor.js';
import { type CompileOptions, compile } from './compile.js';
import { type ModelSpec, type Prefix, prepareModel, type Tap, type TrainableLayout } from './model.js';

export const HEAD_INPUT: Tap = { block: null, width: null };

export interface ForwardOptions extends CompileOptions {
  readonly model: ModelSpec;
  readonly batch: number;
  /** As for the step, but built for evaluation. */
  readonly prefix?: Prefix | null;
  /** Whether what the head reads is wanted in place of what it gives. */
  readonly features?: boolean;
}

/** Compiles a model's forward pass: inputs `images` (or those of a prefix) and `parameters`, output `logits` [batch, K], or `features` [batch, D]. */
export function buildForward(options: ForwardOptions): { program: Program; layout: TrainableLayout } {
  const { model, batch, prefix, features = false, disable = [] } = options;
  const taps = features ? [HEAD_INPUT] : [];
  const prepared = prepareModel(model, prefix, { role: '', batch, training: false, disable, taps });
  const [read] = prepared.tapped;
  const outputs: Record<string, Tensor> = read ? { features: read } : { logits: prepared.logits };
  return { program: compile(outputs, [prepared], options), layout: prepared.layout };
}
