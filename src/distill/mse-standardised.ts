import type { DistillationLoss } from './loss.js';
import { mse } from './mse.js';
import { standardised } from './standardised.js';

/**
 * Mean squared difference of standardised logits, which is 2·(1 − ρ), ρ their correlation over the classes. Offset and
 * spread are free. The paper has no such variant; this one is our choice.
 * @see Sun et al. 2024, arXiv:2403.01427, for the standardising; Huang et al. 2022, arXiv:2205.10536, for the correlation
 */
export const mseStandardised: DistillationLoss = {
  name: 'mse-standardised',
  reads: 'logits',
  softens: false,
  formula: '(1/K) Σ_k (z(student) − z(teacher))², z(x) = (x − mean x)/std x over the classes',
  perImage: (student, teacher, temperature) => mse.perImage(standardised(student), standardised(teacher), temperature),
};
