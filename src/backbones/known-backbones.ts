/** The backbones known by name: their sizes, and where their weights come from. */
import { usualNormalisation } from './architecture.js';
import type { BackboneConfig, Normalisation } from './backbone.js';

/** Where on the Hugging Face hub a checkpoint lies. */
export interface HubSource {
  /** organisation/name */
  readonly repo: string;
  /** The file of the weights. */
  readonly file: string;
  /** Files that other tools, and the naming of its tensors, want to find beside it. */
  readonly companions: readonly string[];
}

export interface KnownBackbone extends Normalisation {
  /** timm's name, architecture.tag, or the hub's where timm has none. */
  readonly name: string;
  readonly config: BackboneConfig;
  /** Numbers in the weights that idat uses: all but the old head. */
  readonly parameters: number;
  /** Of the weights, as an SPDX identifier. */
  readonly licence: string;
  /** null: comes with idat. */
  readonly hub: HubSource | null;
}

/** Published by timm: model.safetensors in timm's naming, with timm's name for the repository. */
export const fromTimm = (name: string): HubSource => ({
  repo: `timm/${name}`,
  file: 'model.safetensors',
  companions: [],
});

/** Published in transformers' naming, or in any: what a reader may want to know stands beside it. */
export const fromTransformers = (repo: string): HubSource => ({
  repo,
  file: 'model.safetensors',
  companions: ['config.json', 'preprocessor_config.json'],
});

function known(
  config: BackboneConfig,
  rest: Pick<KnownBackbone, 'name' | 'parameters' | 'licence' | 'hub'>,
): KnownBackbone {
  return { config, ...usualNormalisation(config), ...rest };
}

/** ViT-…/16 at 224 pixels: heads are 64 wide, the MLP is four times the width. */
const VIT_16 = {
  tiny: { width: 192, depth: 12, parameters: 5_524_416 },
  small: { width: 384, depth: 12, parameters: 21_665_664 },
  base: { width: 768, depth: 12, parameters: 85_798_656 },
  large: { width: 1024, depth: 24, parameters: 303_301_632 },
} as const;

function vit16(size: keyof typeof VIT_16, name: string, hub = fromTimm(name)): KnownBackbone {
  const { width, depth, parameters } = VIT_16[size];
  const fixed = { family: 'vit', imageSize: 224, patchSize: 16, channels: 3, qkvBias: true } as const;
  const config = { ...fixed, layerNormEps: 1e-6, width, depth, heads: width / 64, mlpWidth: 4 * width };
  return known(config, { name, parameters, licence: 'Apache-2.0', hub });
}

/** Swin at 224 pixels, patches of 4, windows of 7: heads are 32 wide, the last stage's grid is one window. */
const SWIN_224 = {
  tiny: { embedWidth: 96, depths: [2, 2, 6, 2], parameters: 27_519_354 },
  small: { embedWidth: 96, depths: [2, 2, 18, 2], parameters: 48_837_258 },
  base: { embedWidth: 128, depths: [2, 2, 18, 2], parameters: 86_743_224 },
} as const;

function swin224(size: keyof typeof SWIN_224, tag: string): KnownBackbone {
  const { embedWidth, depths, parameters } = SWIN_224[size];
  const fixed = { family: 'swin', imageSize: 224, patchSize: 4, channels: 3, windowSize: 7, mlpRatio: 4 } as const;
  const heads = [1, 2, 4, 8].map((times) => (times * embedWidth) / 32);
  const config = { ...fixed, qkvBias: true, layerNormEps: 1e-5, embedWidth, depths, heads };
  const name = `swin_${size}_patch4_window7_224.${tag}`;
  return known(config, { name, parameters, licence: 'MIT', hub: fromTimm(name) });
}

function bundled(name: string, width: number, heads: number, parameters: number): KnownBackbone {
  const fixed = { family: 'vit', imageSize: 32, patchSize: 4, channels: 3, qkvBias: true, layerNormEps: 1e-6 } as const;
  const config = { ...fixed, depth: 6, width, heads, mlpWidth: 4 * width };
  return known(config, { name, parameters, licence: 'Apache-2.0', hub: null });
}

const VIT_SIZES = ['tiny', 'small', 'base', 'large'] as const;
const SWIN_SIZES = ['tiny', 'small', 'base'] as const;
const GOOGLE_BASE = 'google/vit-base-patch16-224-in21k';

/** Where names differ in their tags alone, the first is meant by the name without a tag. */
export const KNOWN_BACKBONES: readonly KnownBackbone[] = [
  bundled('vit_micro_patch4_32.cifar10', 128, 4, 1_204_608),
  bundled('vit_nano_patch4_32.cifar10', 64, 2, 307_392),
  ...VIT_SIZES.map((size) => vit16(size, `vit_${size}_patch16_224.augreg_in21k`)),
  // of the same name in papers: the original weights of ImageNet-21k, from before augmentation and regularisation
  vit16('base', 'vit_base_patch16_224.orig_in21k'),
  vit16('base', GOOGLE_BASE, fromTransformers(GOOGLE_BASE)),
  ...VIT_SIZES.map((size) => vit16(size, `vit_${size}_patch16_224.augreg_in21k_ft_in1k`)),
  ...['ms_in22k', 'ms_in22k_ft_in1k', 'ms_in1k'].flatMap((tag) => SWIN_SIZES.map((size) => swin224(size, tag))),
];

/** By its name, with or without the tag. */
export const knownBackbone = (wanted: string): KnownBackbone | undefined =>
  KNOWN_BACKBONES.find(({ name }) => name === wanted) ??
  KNOWN_BACKBONES.find(({ name }) => withoutTag(name) === wanted);

export const withoutTag = (name: string): string => name.split('.')[0]!;
