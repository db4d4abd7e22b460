/** The rewriting passes, in the order in which they run. */
import type { Tensor } from '../tensor.js';
import { commonSubexpressions } from './common-subexpressions.js';
import { foldConstants } from './fold-constants.js';
import { hoistScales } from './hoist-scales.js';
import type { Pass } from './pass.js';
import { pushDownSlices } from './push-down-slices.js';
import { simplify } from './simplify.js';
import { splitProducts } from './split-products.js';

/** On the forward graph: what they save forward, differentiation does not have to undo. */
export const FORWARD_PASSES: readonly Pass[] = [pushDownSlices, splitProducts, hoistScales, foldConstants];

/** On the whole graph, gradients included. */
export const FINAL_PASSES: readonly Pass[] = [simplify, commonSubexpressions];

export function applyPasses(
  passes: readonly Pass[],
  outputs: readonly Tensor[],
  disabled: readonly string[] = [],
): Tensor[] {
  return passes.filter(({ name }) => !disabled.includes(name)).reduce((now, pass) => pass.apply(now), [...outputs]);
}
