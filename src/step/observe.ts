/** A model's forward pass with what is otherwise inside: what the head reads, and where blocks look. */
import type { Program } from '../graph/emit.js';
import type { Shape, Tensor } from '../graph/tensor.js';
import { type CompileOptions, compile } from './compile.js';
import { HEAD_INPUT } from './forward.js';
import { type ModelSpec, prepareModel, type TracedModel, type TrainableLayout } from './model.js';

export interface ObserveOptions extends CompileOptions {
  readonly model: ModelSpec;
  readonly batch: number;
  /** Blocks whose attention is wanted, counted from 0; default: none. */
  readonly attention?: readonly number[];
}

/** What a block's attention is called among the outputs. */
export const attentionOutput = (block: number): string => `attention.${block}`;

/** The outputs of `buildObserved` before they are compiled, for those who interpret them. */
export function traceObserved({ model, batch, attention = [], disable = [] }: ObserveOptions): {
  outputs: Record<string, Tensor>;
  traced: TracedModel;
} {
  const taps = [HEAD_INPUT, ...attention.map((block) => ({ block, width: null, attention: true as const }))];
  const traced = prepareModel(model, null, { role: '', batch, training: false, disable, taps });
  const [features, ...shares] = traced.tapped;
  const named = attention.map((block, i): [string, Tensor] => [attentionOutput(block), shares[i]!]);
  return { outputs: { logits: traced.logits, features: features!, ...Object.fromEntries(named) }, traced };
}

/**
 * Compiles it: inputs `images` [batch, 3, S, S] and `parameters`; outputs `logits` [batch, K], `features` [batch, D] and for each
 * block asked for `attention.N` [batch, H, T, K], within windows [batch·windows, H, T, K].
 */
export function buildObserved(options: ObserveOptions): {
  program: Program;
  layout: TrainableLayout;
  /** Of each output. */
  shapes: Readonly<Record<string, Shape>>;
} {
  const { outputs, traced } = traceObserved(options);
  const shapes = Object.fromEntries(Object.entries(outputs).map(([name, { shape }]) => [name, shape]));
  return { program: compile(outputs, [traced], options), layout: traced.layout, shapes };
}
