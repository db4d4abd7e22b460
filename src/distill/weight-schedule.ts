/**
 * The weight of the distillation loss over a run. The paper's is constant; that is the default.
 */

export const WEIGHT_SHAPES = ['linear', 'cosine'] as const;
export type WeightShape = (typeof WEIGHT_SHAPES)[number];

export interface WeightSchedule {
  /** First epochs in which it is 0. */
  readonly without: number;
  /** Weight in the first epoch after them. */
  readonly beta: number;
  /** Weight from epoch `epochs` − 1 on. */
  readonly betaEnd: number;
  readonly betaShape: WeightShape;
  /** The epoch, counted from 1, in which the change has ended. */
  readonly epochs: number;
}

/**
 * The weight in an epoch, counted from 0; one value an epoch, as the learning rate.
 *
 *     none      0 in epochs before `without`; from there on, with w = (e − without)/(epochs − 1 − without),
 *     linear    beta + (betaEnd − beta)·w
 *     cosine    beta + (betaEnd − beta)·(1 − cos(π·w))/2
 */
export function distillationWeight(epoch: number, schedule: WeightSchedule): number {
  const { without, beta, betaEnd, betaShape, epochs } = schedule;
  if (epoch < without) return 0;
  if (epoch >= epochs - 1) return betaEnd;
  const way = (epoch - without) / (epochs - 1 - without);
  return beta + (betaEnd - beta) * (betaShape === 'linear' ? way : (1 - Math.cos(Math.PI * way)) / 2);
}
