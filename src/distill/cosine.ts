import { div, mul, reduceSum, scalar, sqrt, sub } from '../graph/ops/index.js';
import type { Tensor } from '../graph/tensor.js';
import type { DistillationLoss } from './loss.js';

/** 1 − cosine of the angle between the logits. The paper names it without a formula; this one is our choice. */
export const cosine: DistillationLoss = {
  name: 'cosine',
  reads: 'logits',
  softens: false,
  formula: '1 − student·teacher / (‖student‖·‖teacher‖)',
  perImage(student, teacher) {
    const product = (a: Tensor, b: Tensor) => reduceSum(mul(a, b), [-1]);
    const norms = mul(sqrt(product(student, student)), sqrt(product(teacher, teacher)));
    return sub(scalar(1), div(product(student, teacher), norms));
  },
};
