import { exp, logSoftmax, mul, reduceSum, scale, sub } from '../graph/ops/index.js';
import type { DistillationLoss } from './loss.js';

/**
 * The distillation term of Equations 4 and 5 in iDAT-…-kl: KL(teacher ‖ student) of the softened probabilities,
 * Σ_k p·(ln p − ln q), p from the teacher, q from the student.
 * No factor τ², as in the authors' code; `squaredTemperature` of the settings brings it in.
 * @see Hinton, Vinyals, Dean 2015, arXiv:1503.02531; iDAT, arXiv:2403.15750
 */
export const kl: DistillationLoss = {
  name: 'kl',
  reads: 'logits',
  softens: true,
  formula: 'Σ_k p·(ln p − ln q), p = softmax(teacher/τ), q = softmax(student/τ)',
  perImage(student, teacher, temperature) {
    const lnP = logSoftmax(scale(teacher, 1 / temperature));
    const lnQ = logSoftmax(scale(student, 1 / temperature));
    return reduceSum(mul(exp(lnP), sub(lnP, lnQ)), [-1]);
  },
};
