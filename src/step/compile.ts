/** From traced models to a program. */
import { emit, type Program, type WeightSink } from '../graph/emit.js';
import { unpackParameters } from '../graph/pack.js';
import { applyPasses, FINAL_PASSES } from '../graph/passes/index.js';
import { type Int8Largest, quantiseFrozen } from '../graph/passes/quantise-frozen.js';
import { type Tensor, within } from '../graph/tensor.js';
import type { TracedModel } from './model.js';

/** In which precision products with frozen weights are computed: all in float32, or some in 8-bit integers. */
export const FROZEN_PRECISIONS = ['float32', 'int8-forward', 'int8'] as const;
export type FrozenPrecision = (typeof FROZEN_PRECISIONS)[number];

/** How a program is compiled. None of it changes what is computed, but for `frozen`, which rounds. */
export interface CompileOptions {
  /** Names of rewriting passes (graph/passes) to leave out. */
  readonly disable?: readonly string[] | undefined;
  /** Precision of products with frozen weights: `int8-forward` forward only, `int8` also backward. Default float32. */
  readonly frozen?: FrozenPrecision | undefined;
  /** What the largest number of each column of an 8-bit weight becomes; default 127. Smaller ones overflow nowhere. */
  readonly int8Largest?: Int8Largest | undefined;
  /** Takes weights that compiling computes; without it they become part of the program. */
  readonly sink?: WeightSink | undefined;
}

/** Packs parameters, tidies the graph and emits it. */
export function compile(
  outputs: Record<string, Tensor>,
  models: readonly TracedModel[],
  { disable, frozen = 'float32', int8Largest, sink }: CompileOptions,
): Program {
  const groups = models.map((m) => ({ inputName: m.parametersInput, parameters: m.parameters }));
  const graph = within({ part: 'train.parameters' }, () => unpackParameters(outputs, groups));
  let final = applyPasses(FINAL_PASSES, Object.values(graph), disable);
  if (frozen !== 'float32') final = quantiseFrozen(final, frozen === 'int8' ? 'both' : 'forward', int8Largest);
  return emit(Object.fromEntries(Object.keys(graph).map((name, i) => [name, final[i]!])), sink);
}
