/** The distillation losses by name. */
import { IdatError, nearest } from '../errors.js';
import { cosine } from './cosine.js';
import { features } from './features.js';
import { kl } from './kl.js';
import type { DistillationLoss } from './loss.js';
import { mae } from './mae.js';
import { mse } from './mse.js';

export { crossEntropy } from './cross-entropy.js';
export { type LayerPair, layerPairs } from './features.js';
export { distillationWeight, WEIGHT_SHAPES } from './weight-schedule.js';

export const LOSSES: readonly DistillationLoss[] = [kl, mse, cosine, mae, features];

/** @throws IdatError `distill.unknown`, offering the nearest names */
export function lossByName(name: string): DistillationLoss {
  const loss = LOSSES.find((l) => l.name === name);
  if (loss) return loss;
  const names = LOSSES.map((l) => l.name);
  throw new IdatError(
    'distill.unknown',
    `unknown distillation loss '${name}'; did you mean ${nearest(name, names).join(' or ')}?`,
  );
}
