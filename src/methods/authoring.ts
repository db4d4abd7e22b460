/**
 * What a tuning method of one's own is written with: `import { … } from 'idat/methods'`.
 *
 * docs/methods.md walks through one.
 */
export { z } from 'zod';
export { blocks } from '../backbones/architecture.js';
export type { BackboneConfig, BlockSizes, SwinConfig, ViTConfig } from '../backbones/backbone.js';
export type { Hooks } from '../backbones/hooks.js';
export type { Region, RegionBlock } from '../backbones/region.js';
export { IdatError } from '../errors.js';
export * as ops from '../graph/ops/index.js';
export type { Shape, Tensor } from '../graph/tensor.js';
export type { RandomStream } from '../random.js';
export { METHODS, methodByName, registerMethod } from './index.js';
export type { Family, Fill, MergedTensors, MergeSource, Method, Scope } from './method.js';
export * from './parts/initialisers.js';
export { dropoutOption, hiddenOption, rankOption, scaleOption } from './parts/options.js';
