/** What a distillation loss is: a number for each image from what two models make of it. One loss, one file. */
import type { Tensor } from '../graph/tensor.js';

export interface DistillationLoss {
  readonly name: string;
  /** Whether it compares the models' logits, or what their blocks hand on. */
  readonly reads: 'logits' | 'features';
  /** Whether it compares probabilities softened by a temperature τ, so that its gradient shrinks as 1/τ². */
  readonly softens: boolean;
  /** The formula, for help and docs. */
  readonly formula: string;
  /**
   * student [B, K], teacher [B, K] logits -> [B], so that a batch's loss is the mean over images; of features
   * [B, T, D] twice, a layer at a time.
   * @param temperature only losses on probabilities use it
   */
  perImage(student: Tensor, teacher: Tensor, temperature: number): Tensor;
}
