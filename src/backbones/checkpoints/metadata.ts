/**
 * The metadata of a safetensors file of weights, under timm's names of arguments: what idat writes, so that the file's
 * path is all that `--student` needs, and what it reads of it.
 */
import { type ImageSize, imageSizeOf } from '../../image-size.js';
import type { Backbone, BackboneConfig, BackboneSizes, ViTConfig } from '../backbone.js';

/** What a file's metadata tell of its sizes; undefined where they do not. Lists are separated by commas. */
export function metadataFacts(metadata: Readonly<Record<string, string>>) {
  const number = (field: string) => {
    const [first, ...rest] = metadata[field]?.split(',').map(Number) ?? [];
    return first !== undefined && [first, ...rest].every(Number.isFinite) ? first : undefined;
  };
  return {
    architecture: metadata.architecture,
    heads: number('num_heads'),
    imageSize: sizeOf(metadata.img_size),
    layerNormEps: number('layer_norm_eps'),
    activation: metadata.act_layer,
    pool: metadata.global_pool,
    rotary: number('rope_temperature'),
  };
}

/** The side of a square, or height and width. */
function sizeOf(text = ''): ImageSize | undefined {
  const [height, width = height, ...rest] = text.split(',').map(Number);
  const usable = [height, width].every((side) => Number.isInteger(side) && side! > 0) && rest.length === 0;
  return usable ? imageSizeOf(height!, width!) : undefined;
}

/**
 * Sizes, normalisation and origin of a backbone with a head for so many classes.
 *
 * @param tag what sets these weights apart from others of the architecture
 * @param trained how they came to be, in words
 */
export function checkpointMetadata(
  { name, config, mean, std }: Pick<Backbone, 'name' | 'config' | 'mean' | 'std'>,
  { classes, tag, trained }: { classes: number; tag: string; trained: string },
): Record<string, string> {
  return {
    architecture: name.split('.')[0]!,
    tag,
    img_size: `${config.imageSize}`, // two are joined by a comma
    patch_size: `${config.patchSize}`,
    ...sizesOf(config),
    num_classes: `${classes}`,
    mean: mean.join(','),
    std: std.join(','),
    interpolation: 'bicubic',
    layer_norm_eps: `${config.layerNormEps}`,
    trained,
  };
}

/** Of sizes known from elsewhere, what no tensor shows, as metadata tell it. */
export function knownMetadata(known: BackboneSizes): Record<string, string> {
  return known.family === 'vit' ? hiddenFacts(known) : {};
}

/** Where a reader could take another for granted. */
const hiddenFacts = ({
  heads,
  activation,
  preNorm,
  pool,
  rotary,
  imageSize,
}: Partial<ViTConfig>): Record<string, string> => ({
  ...(typeof imageSize === 'object' && { img_size: `${imageSize}` }),
  ...(heads !== undefined && { num_heads: `${heads}` }),
  ...((activation || preNorm) && { act_layer: activation ?? 'gelu' }),
  ...((pool || rotary !== undefined) && { global_pool: pool ?? 'token' }),
  ...(rotary !== undefined && { rope_temperature: `${rotary}` }),
});

function sizesOf(config: BackboneConfig): Record<string, string> {
  if (config.family === 'vit') {
    const { width, depth, heads, mlpWidth } = config;
    const texts = { embed_dim: width, depth, num_heads: heads, mlp_ratio: mlpWidth / width };
    return {
      ...Object.fromEntries(Object.entries(texts).map(([name, value]) => [name, `${value}`])),
      ...hiddenFacts(config),
    };
  }
  const { embedWidth, depths, heads, windowSize, mlpRatio } = config;
  return {
    embed_dim: `${embedWidth}`,
    depths: depths.join(','),
    num_heads: heads.join(','),
    window_size: `${windowSize}`,
    mlp_ratio: `${mlpRatio}`,
  };
}
