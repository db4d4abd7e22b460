import { add, logSoftmax, mul, neg, oneHot, reduceSum, scalar, scale } from '../graph/ops/index.js';
import type { Tensor } from '../graph/tensor.js';

/**
 * The task's loss for each image, −Σ_k t_k·ln softmax(logits)_k: logits [B, K], labels [B] -> [B].
 *
 * The target t is 1 at the label and 0 elsewhere; smoothed, (1 − s) of that and s/K for every class.
 * @param smoothing s, from 0 to below 1
 * @see Szegedy et al. 2016, arXiv:1512.00567, section 7
 */
export function crossEntropy(logits: Tensor, labels: Tensor, smoothing = 0): Tensor {
  const K = logits.shape[1]!;
  const hard = oneHot(labels, K);
  const target = smoothing === 0 ? hard : add(scale(hard, 1 - smoothing), scalar(smoothing / K));
  return neg(reduceSum(mul(logSoftmax(logits), target), [-1]));
}
