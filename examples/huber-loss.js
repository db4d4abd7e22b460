// @ts-check
/**
 * A distillation loss of one's own: Huber's. Where a logit of the student is near the teacher's it counts squared, as in
 * `mse`, and further off by its distance, as in `mae`: so a few logits that are far off do not outweigh all others.
 *
 *     D = (1/K) Σ_k h(student_k − teacher_k),   h(d) = d²/2 where |d| ≤ δ, δ·(|d| − δ/2) elsewhere
 *
 *     idat train photos/ --student vit_micro_patch4_32.cifar10 --teacher vit_nano_patch4_32.cifar10 --distill ./examples/huber-loss.js
 *
 * @see Huber 1964, Robust Estimation of a Location Parameter, doi:10.1214/aoms/1177703732
 */
import { ops, registerLoss } from 'idat/losses';

/** δ, in logits. */
const NEAR = 1;

/** @type {import('idat/losses').DistillationLoss} */
export const huber = {
  name: 'huber',
  reads: 'logits',
  softens: false, // no temperature in it
  formula: '(1/K) Σ_k h(student − teacher), h(d) = d²/2 where |d| ≤ 1, |d| − 1/2 elsewhere',
  perImage(student, teacher) {
    const distance = ops.abs(ops.sub(student, teacher)); // [B, K]
    const bounded = ops.sub(distance, ops.relu(ops.sub(distance, ops.scalar(NEAR)))); // c = min(|d|, δ)
    const h = ops.mul(bounded, ops.sub(distance, ops.scale(bounded, 0.5))); // c·(|d| − c/2), which is h(d) on both sides
    return ops.reduceMean(h, [-1]); // [B]
  },
};

registerLoss(huber);
