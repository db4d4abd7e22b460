/** The distillation losses by name. */
import { IdatError, nearest } from '../errors.js';
import { cosine } from './cosine.js';
import { features } from './features.js';
import { kl } from './kl.js';
import { klStandardised } from './kl-standardised.js';
import type { DistillationLoss } from './loss.js';
import { mae } from './mae.js';
import { mse } from './mse.js';
import { mseCentred } from './mse-centred.js';
import { mseStandardised } from './mse-standardised.js';
import { checkedLoss } from './own-loss.js';

export { crossEntropy } from './cross-entropy.js';
export { type LayerPair, layerPairs } from './features.js';
export { distillationWeight, WEIGHT_SHAPES, type WeightSchedule } from './weight-schedule.js';

/** The losses of the package. */
export const LOSSES: readonly DistillationLoss[] = [
  kl,
  mse,
  cosine,
  mae,
  klStandardised,
  mseStandardised,
  mseCentred,
  features,
];

/** Losses of the user's own. */
const registered = new Map<string, DistillationLoss>();

/** All losses that can be asked for by name. */
export const allLosses = (): readonly DistillationLoss[] => [...LOSSES, ...registered.values()];

/**
 * Makes a loss of one's own known by its name, for this process. Registered again, the newer one counts.
 * @throws IdatError `distill.name` when the package has a loss of that name, in capitals or not (variants are read in any
 *   case); `distill.loss` when it is none
 */
export function registerLoss(loss: DistillationLoss): void {
  const checked = checkedLoss(loss);
  const own = LOSSES.find(({ name }) => name === checked.name.toLowerCase());
  if (own) throw new IdatError('distill.name', `'${own.name}' is a loss of idat already; give yours another name`);
  registered.set(checked.name, checked);
}

/** @throws IdatError `distill.unknown`, offering the nearest names */
export function lossByName(name: string): DistillationLoss {
  const loss = allLosses().find((l) => l.name === name);
  if (loss) return loss;
  const names = allLosses().map((l) => l.name);
  throw new IdatError(
    'distill.unknown',
    `unknown distillation loss '${name}'; did you mean ${nearest(name, names).join(' or ')}? One of your own has to be registered first`,
  );
}
