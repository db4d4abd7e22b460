import { mul, reduceMean, sub } from '../graph/ops/index.js';
import type { DistillationLoss } from './loss.js';

/** The distillation term of Equations 4 and 5 in iDAT-…-mse: the mean squared difference of the raw logits. */
export const mse: DistillationLoss = {
  name: 'mse',
  reads: 'logits',
  softens: false,
  formula: '(1/K) Σ_k (student − teacher)²',
  perImage(student, teacher) {
    const difference = sub(student, teacher);
    return reduceMean(mul(difference, difference), [-1]);
  },
};
