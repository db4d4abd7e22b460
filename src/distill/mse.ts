import { mul, reduceMean, sub } from '../graph/ops/index.js';
import type { DistillationLoss } from './loss.js';

/** Mean squared difference of the raw logits. */
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
