/**
 * What a distillation loss of one's own is written with: `import { … } from 'idat/losses'`.
 *
 * docs/distillation.md walks through one.
 */
export { IdatError } from '../errors.js';
export * as ops from '../graph/ops/index.js';
export type { Shape, Tensor } from '../graph/tensor.js';
export { LOSSES, lossByName, registerLoss } from './index.js';
export type { DistillationLoss } from './loss.js';
