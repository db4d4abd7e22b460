import { abs, reduceMean, sub } from '../graph/ops/index.js';
import type { DistillationLoss } from './loss.js';

/** Mean absolute difference of the raw logits. The paper names it without a formula; this one is our choice. */
export const mae: DistillationLoss = {
  name: 'mae',
  reads: 'logits',
  softens: false,
  formula: '(1/K) Σ_k |student − teacher|',
  perImage: (student, teacher) => reduceMean(abs(sub(student, teacher)), [-1]),
};
