import { mul, reduceMean, sub } from '../graph/ops/index.js';
import type { DistillationLoss } from './loss.js';

/**
 * The variance over the classes of the difference of the logits: `mse` without what an offset common to all classes adds to
 * it, which changes no probability. The paper has no such variant; this one is our choice.
 */
export const mseCentred: DistillationLoss = {
  name: 'mse-centred',
  reads: 'logits',
  softens: false,
  formula: '(1/K) Σ_k (d − mean d)², d = student − teacher, the mean over the classes',
  perImage(student, teacher) {
    const difference = sub(student, teacher);
    const centred = sub(difference, reduceMean(difference, [-1], true));
    return reduceMean(mul(centred, centred), [-1]);
  },
};
