/** The rewriting passes, in the order in which they run. */
import type { Tensor } from '../tensor.js';
import { commonSubexpressions } from './common-subexpressions.js';
import { fewQueries } from './few-queries.js';
import { foldConstants } from './fold-constants.js';
import { foldGelus } from './fold-gelus.js';
import { foldNorms } from './fold-norms.js';
import { FROZEN_PREFIX } from './frozen-prefix.js';
import { hoistScales } from './hoist-scales.js';
import type { Pass } from './pass.js';
import { pushDownSlices } from './push-down-slices.js';
import { reuseProducts } from './reuse-products.js';
import { simplify } from './simplify.js';
import { splitProducts } from './split-products.js';

/** On a model as it was traced, before it is cut in two (frozen-prefix.ts): what is not computed need not cross. */
export const TRACE_PASSES: readonly Pass[] = [pushDownSlices];

/** On the forward graph: what they save forward, differentiation does not have to undo. */
export const FORWARD_PASSES: readonly Pass[] = [splitProducts, hoistScales, fewQueries, foldConstants];

/** On forward graphs that are differentiated: what they save, they save in the backward pass, and forward costs some. */
export const TRAINING_PASSES: readonly Pass[] = [foldNorms, foldGelus];

/** On the whole graph, gradients included. */
export const FINAL_PASSES: readonly Pass[] = [simplify, commonSubexpressions, reuseProducts];

/** The names of those that compute weights anew, which takes memory or a file. */
export const FOLDING_PASSES: readonly string[] = [foldConstants, foldNorms, foldGelus].map(({ name }) => name);

/** The names by which passes are switched off. */
export const PASS_NAMES: readonly string[] = [
  ...[...TRACE_PASSES, ...FORWARD_PASSES, ...TRAINING_PASSES, ...FINAL_PASSES].map(({ name }) => name),
  FROZEN_PREFIX,
];

export function applyPasses(
  passes: readonly Pass[],
  outputs: readonly Tensor[],
  disabled: readonly string[] = [],
): Tensor[] {
  return passes.filter(({ name }) => !disabled.includes(name)).reduce((now, pass) => pass.apply(now), [...outputs]);
}
