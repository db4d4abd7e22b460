import { standardise } from '../graph/ops/index.js';
import type { Tensor } from '../graph/tensor.js';

/** Added to the variance: of logits that are all equal z is 0. */
const EPS = 1e-6;

/**
 * Each image's logits to mean 0 and variance 1 over the classes: z(x) = (x − mean x)/√(var x + 10⁻⁶), [B, K] -> [B, K].
 *
 * The variance is the mean of squares, as in the paper; its code divides by K − 1. Of two classes z is ±1 whatever the
 * logits, so that nothing is left to be learnt but which of them is larger.
 * @see Sun et al. 2024, arXiv:2403.01427, Algorithm 1
 */
export const standardised = (logits: Tensor): Tensor => standardise(logits, EPS);
