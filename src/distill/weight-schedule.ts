/**
 * The weight of the distillation loss over a run. The paper's is constant; that is the default.
 */

export const WEIGHT_SHAPES = ['linear', 'cosine'] as const;
export type WeightShape = (typeof WEIGHT_SHAPES)[number];

export interface WeightSchedule {
  /** Weight in the first epoch. */
  readonly beta: number;
  /** Weight from epoch `epochs` − 1 on. */
  readonly betaEnd: number;
  readonly betaShape: WeightShape;
  /** Length of the change, in epochs. */
  readonly epochs: number;
}

/**
 * The weight in an epoch, counted from 0; one value an epoch, as the learning rate.
 *
 *     linear    beta + (betaEnd − beta)·e/(epochs − 1)
 *     cosine    the same way with (1 − cos(π·e/(epochs − 1)))/2 in place of e/(epochs − 1)
 */
export function distillationWeight(epoch: number, { beta, betaEnd, betaShape, epochs }: WeightSchedule): number {
  if (epoch >= epochs - 1) return betaEnd;
  const way = epoch / (epochs - 1);
  return beta + (betaEnd - beta) * (betaShape === 'linear' ? way : (1 - Math.cos(Math.PI * way)) / 2);
}
