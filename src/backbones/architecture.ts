/** What the rooms behind ask of a backbone, whatever its family. */

import { IdatError } from '../errors.js';
import { constant, input } from '../graph/ops/index.js';
import { type Shape, size, type Tensor } from '../graph/tensor.js';
import { sidesOf } from '../image-size.js';
import type {
  Architecture,
  BackboneConfig,
  BackboneInputs,
  BlockSizes,
  Normalisation,
  WeightSource,
} from './backbone.js';
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

/**
 * Patches of an image, of which some may be left out.
 * @throws IdatError `backbone.patches` where the family needs all of them
 */
export function droppablePatches(config: BackboneConfig): number {
  const patches = architectureOf(config).patches?.(config);
  if (patches !== undefined) return patches;
  throw new IdatError('backbone.patches', `dropTokens: a ${config.family} needs all of its patches; leave it out`);
}

/** Whether the first of the tokens is a class token. */
export const hasClassToken = (config: BackboneConfig): boolean => architectureOf(config).hasClassToken(config);

/** Tokens of an image that stand in front of its patches. */
export const frontTokenCount = (config: BackboneConfig): number =>
  blocks(config)[0]!.tokens - (architectureOf(config).patches?.(config) ?? blocks(config)[0]!.tokens);

/** Numbers of an image that the head reads. */
export const featureWidth = (config: BackboneConfig): number => blocks(config).at(-1)!.width;

/** Numbers of one image's stream of tokens, the mean over the blocks: what an image takes of a call. */
export function streamSize(config: BackboneConfig): number {
  const sizes = blocks(config).map(({ tokens, width }) => tokens * width);
  return sizes.reduce((a, b) => a + b, 0) / sizes.length;
}

/** Of a call's images: [B, channels, height, width]. */
export const imagesShape = ({ channels, imageSize }: BackboneConfig, batch: number): Shape => [
  batch,
  channels,
  ...sidesOf(imageSize),
];

/** So many tokens as rows and columns in the image's shape; null where they fill none. */
export function gridOf({ imageSize }: BackboneConfig, tokens: number): readonly [rows: number, columns: number] | null {
  const [height, width] = sidesOf(imageSize);
  const rows = Math.round(Math.sqrt((tokens * height) / width));
  const columns = tokens / rows;
  return rows > 0 && rows * width === columns * height ? [rows, columns] : null;
}

/** Every tensor that a backbone of these sizes reads, by name: the tracing code is asked, so that no list has to be kept. */
export function tensorShapes(config: BackboneConfig): Map<string, Shape> {
  const shapes = new Map<string, Shape>();
  const note = (name: string, shape: Shape) => {
    shapes.set(name, shape);
    return constant(shape, { kind: 'file', path: name, offset: 0, load: () => new Float32Array(size(shape)) });
  };
  const images = input('images', imagesShape(config, 1));
  traceBackbone(config, note, {}, { images, dropPath: null });
  return shapes;
}

/** The normalisation that published weights of the family were trained with. */
export const usualNormalisation = (config: BackboneConfig): Normalisation => architectureOf(config).normalisation;
