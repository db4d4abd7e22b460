import { logSoftmax, mul, neg, oneHot, reduceSum } from '../graph/ops/index.js';
import type { Tensor } from '../graph/tensor.js';

/** The task's loss for each image, −ln softmax(logits)[label]: logits [B, K], labels [B] -> [B]. No smoothing. */
export const crossEntropy = (logits: Tensor, labels: Tensor): Tensor =>
  neg(reduceSum(mul(logSoftmax(logits), oneHot(labels, logits.shape[1]!)), [-1]));
