import { kl } from './kl.js';
import type { DistillationLoss } from './loss.js';
import { standardised } from './standardised.js';

/**
 * KL(teacher ‖ student) of softened probabilities whose logits were standardised before: the student need not reach the
 * teacher's offset and spread, only the proportions between its classes.
 * @see Sun et al. 2024, arXiv:2403.01427, which multiplies it by τ², as `squaredTemperature` of the settings does
 */
export const klStandardised: DistillationLoss = {
  name: 'kl-standardised',
  reads: 'logits',
  softens: true,
  formula:
    'Σ_k p·(ln p − ln q), p = softmax(z(teacher)/τ), q = softmax(z(student)/τ), z(x) = (x − mean x)/std x over the classes',
  perImage: (student, teacher, temperature) => kl.perImage(standardised(student), standardised(teacher), temperature),
};
