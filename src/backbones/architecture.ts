/** What the rooms behind ask of a backbone, whatever its family. */
import type { Tensor } from '../graph/tensor.js';
import type { Architecture, BackboneConfig, BackboneInputs, BlockSizes, WeightSource } from './backbone.js';
import type { Hooks } from './hooks.js';
import { swin } from './swin.js';
import { vit } from './vit.js';

/** One family, one file and one line here. */
const ARCHITECTURES: {
  readonly [F in BackboneConfig['family']]: Architecture<Extract<BackboneConfig, { family: F }>>;
} = { vit, swin };

const architectureOf = ({ family }: BackboneConfig) => ARCHITECTURES[family] as Architecture<BackboneConfig>;

/** Traces a backbone: images -> features [B, featureWidth(config)], which the head reads. */
export const traceBackbone = (
  config: BackboneConfig,
  weight: WeightSource,
  hooks: Hooks,
  inputs: BackboneInputs,
): Tensor => architectureOf(config).trace(config, weight, hooks, inputs);

/** Every block in order, counted over all stages: a block's position is the index that hooks and drop path go by. */
export const blocks = (config: BackboneConfig): readonly BlockSizes[] => architectureOf(config).blocks(config);

/** Numbers of an image that the head reads. */
export const featureWidth = (config: BackboneConfig): number => blocks(config).at(-1)!.width;

/** Numbers of one image's stream of tokens, the mean over the blocks: what an image takes of a call. */
export function streamSize(config: BackboneConfig): number {
  const sizes = blocks(config).map(({ tokens, width }) => tokens * width);
  return sizes.reduce((a, b) => a + b, 0) / sizes.length;
}
