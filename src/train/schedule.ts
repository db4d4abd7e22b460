/**
 * The learning rate: a linear warm-up, half a cosine, and a few last epochs at the minimum; one value an epoch.
 *
 * @see Loshchilov, Hutter 2017, arXiv:1608.03983; the form is CosineLRScheduler of timm 0.6.13, which the paper uses
 */

export interface CosineSchedule {
  /** Peak the cosine starts from. */
  lr: number;
  /** Length of the cosine, warm-up included: the warm-up covers its beginning and does not shift it. */
  epochs: number;
  warmupEpochs: number;
  /** The rate of epoch 0, when there is a warm-up. */
  warmupLr: number;
  /** Where the cosine ends, and the rate of the cooldown. */
  minLr: number;
  /** Epochs after the cosine. */
  cooldownEpochs: number;
}

/** Number of epochs that are trained: the cosine's and the cooldown's. */
export function totalEpochs({ epochs, cooldownEpochs }: CosineSchedule): number {
  return epochs + cooldownEpochs;
}

/**
 * The learning rate of every step of an epoch, counted from 0.
 *
 *     e < warmup    warmupLr + e·(lr − warmupLr)/warmup
 *     e < epochs    minLr + (lr − minLr)·(1 + cos(π·e/epochs))/2
 *     otherwise     minLr
 *
 * Each line is evaluated in timm's order, so that the numbers agree to the last digits. With the paper's settings (100
 * epochs, 10 of warm-up) `lr` itself is never reached: the highest rate is 0.9755·lr, in epoch 10.
 */
export function learningRate(epoch: number, schedule: CosineSchedule): number {
  const { lr, epochs, warmupEpochs, warmupLr, minLr } = schedule;
  if (epoch < warmupEpochs) return warmupLr + epoch * ((lr - warmupLr) / warmupEpochs);
  if (epoch < epochs) return minLr + 0.5 * (lr - minLr) * (1 + Math.cos((Math.PI * epoch) / epochs));
  return minLr;
}
