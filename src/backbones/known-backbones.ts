/** The backbones known by name: their sizes, and where their weights come from. */
import { usualNormalisation } from './architecture.js';
import type { BackboneConfig, Normalisation, ViTConfig } from './backbone.js';

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

/** Sizes of published ViTs that are not plain, each under the letter of its paper; MLPs are four times the width. */
const WIDTHS = {
  tiny: { width: 192, depth: 12 },
  small: { width: 384, depth: 12 },
  base: { width: 768, depth: 12 },
  large: { width: 1024, depth: 24 },
} as const;

interface Published extends Pick<KnownBackbone, 'name' | 'parameters'>, Partial<Normalisation> {
  readonly size: keyof typeof WIDTHS;
  readonly patchSize?: number;
  /** Where it is not the name's own. */
  readonly repo?: string;
}

/** A ViT that differs from the plain one in what its kind says. */
const ofKind =
  (kind: Partial<ViTConfig> & Partial<Normalisation>, licence = 'Apache-2.0') =>
  ({ size, patchSize = 16, repo, ...rest }: Published): KnownBackbone => {
    const { mean = [0.5, 0.5, 0.5], std = [0.5, 0.5, 0.5], ...variations } = kind;
    const { width, depth } = WIDTHS[size];
    const plain = { family: 'vit', channels: 3, heads: width / 64, mlpWidth: 4 * width, qkvBias: true } as const;
    const config = { ...plain, layerNormEps: 1e-6, imageSize: 224, patchSize, width, depth, ...variations };
    const hub = repo === undefined ? fromTimm(rest.name) : { ...fromTimm(rest.name), repo };
    return { config, mean, std, licence, hub, ...rest };
  };

const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/** @see arXiv:2304.07193; positions for 518 pixels, which other sizes resize */
const dinov2 = ofKind({ ...IMAGENET, layerScale: true, imageSize: 518, patchSize: 14 });
/** @see arXiv:2309.16588 */
const dinov2WithRegisters = ofKind({
  ...{ ...IMAGENET, layerScale: true, registers: 4, positions: 'patches' },
  ...{ imageSize: 518, patchSize: 14 },
});
/** @see arXiv:2508.10104; timm pools the patches */
const dinov3 = ofKind(
  {
    ...{ ...IMAGENET, layerScale: true, registers: 4, positions: 'none', rotary: 100 },
    ...{ qkvBias: false, layerNormEps: 1e-5, pool: 'avg', imageSize: 256 },
  },
  'LicenseRef-DINOv3',
);
/** @see arXiv:2012.12877 */
const deitDistilled = ofKind({ ...IMAGENET, distillationToken: true, pool: 'distilled' });
/** @see arXiv:2111.06377 */
const mae = ofKind({ ...IMAGENET }, 'CC-BY-NC-4.0');
/** @see arXiv:2103.00020 */
const clip = ofKind({
  ...{ mean: [0.48145466, 0.4578275, 0.40821073], std: [0.26862954, 0.26130258, 0.27577711] },
  ...{ preNorm: true, patchBias: false, activation: 'quick_gelu', layerNormEps: 1e-5 },
});
/** @see arXiv:2502.14786 */
const siglip2 = ofKind({ classToken: false, pool: 'map' });

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
  dinov2({ size: 'small', name: 'vit_small_patch14_dinov2.lvd142m', parameters: 22_056_192 }),
  dinov2({ size: 'base', name: 'vit_base_patch14_dinov2.lvd142m', parameters: 86_579_712 }),
  dinov2({ size: 'large', name: 'vit_large_patch14_dinov2.lvd142m', parameters: 304_367_616 }),
  dinov2WithRegisters({ size: 'small', name: 'vit_small_patch14_reg4_dinov2.lvd142m', parameters: 22_057_344 }),
  dinov2WithRegisters({ size: 'base', name: 'vit_base_patch14_reg4_dinov2.lvd142m', parameters: 86_582_016 }),
  dinov2WithRegisters({ size: 'large', name: 'vit_large_patch14_reg4_dinov2.lvd142m', parameters: 304_370_688 }),
  dinov3({ size: 'small', name: 'vit_small_patch16_dinov3.lvd1689m', parameters: 21_586_944 }),
  dinov3({ size: 'base', name: 'vit_base_patch16_dinov3.lvd1689m', parameters: 85_641_216 }),
  dinov3({ size: 'large', name: 'vit_large_patch16_dinov3.lvd1689m', parameters: 303_079_424 }),
  deitDistilled({ size: 'tiny', name: 'deit_tiny_distilled_patch16_224.fb_in1k', parameters: 5_524_800 }),
  deitDistilled({ size: 'small', name: 'deit_small_distilled_patch16_224.fb_in1k', parameters: 21_666_432 }),
  deitDistilled({ size: 'base', name: 'deit_base_distilled_patch16_224.fb_in1k', parameters: 85_800_192 }),
  mae({ size: 'base', name: 'vit_base_patch16_224.mae', parameters: 85_798_656 }),
  mae({ size: 'large', name: 'vit_large_patch16_224.mae', parameters: 303_301_632 }),
  clip({
    ...{ size: 'base', name: 'vit_base_patch32_clip_quickgelu_224.openai', parameters: 87_456_000, patchSize: 32 },
    repo: 'timm/vit_base_patch32_clip_224.openai',
  }),
  clip({
    ...{ size: 'base', name: 'vit_base_patch16_clip_quickgelu_224.openai', parameters: 85_799_424 },
    repo: 'timm/vit_base_patch16_clip_224.openai',
  }),
  siglip2({ size: 'base', name: 'vit_base_patch16_siglip_224.v2_webli', parameters: 92_884_224 }),
];

/**
 * What a backbone is good for beside others: a teacher is smaller than its student and trained along with it, so that
 * beyond the small sizes it costs more than it gives (docs/models.md).
 */
export function goodAs({ parameters, config }: Pick<KnownBackbone, 'parameters' | 'config'>): string {
  const bundled = config.imageSize === 32;
  if (parameters < (bundled ? 1e6 : 1e7)) return 'teacher';
  return parameters < 3e7 && !bundled ? 'student, teacher' : 'student';
}

/** By its name, with or without the tag. */
export const knownBackbone = (wanted: string): KnownBackbone | undefined =>
  KNOWN_BACKBONES.find(({ name }) => name === wanted) ??
  KNOWN_BACKBONES.find(({ name }) => withoutTag(name) === wanted);

export const withoutTag = (name: string): string => name.split('.')[0]!;

/** A teacher is at most so large, as a share of its student. */
const TEACHER_SHARE = 0.6;

/**
 * The largest known model that is good as a teacher of another: of the same series (its name but for the size), for images of the same size, and
 * smaller. Null for students that are not known, and for those of which nothing smaller is.
 */
export function teacherFor(student: string): string | null {
  const own = knownBackbone(student);
  if (!own) return null;
  const series = ({ name }: KnownBackbone) => name.replace(/_(nano|micro|tiny|small|base|large)_/, '_');
  const fit = KNOWN_BACKBONES.filter(
    (one) =>
      series(one) === series(own) &&
      `${one.config.imageSize}` === `${own.config.imageSize}` &&
      one.parameters < TEACHER_SHARE * own.parameters &&
      goodAs(one).includes('teacher'),
  );
  return fit.sort((a, b) => b.parameters - a.parameters)[0]?.name ?? null;
}
