/** The backbones known by name, and where their files are looked for. */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { IdatError, nearest } from '../errors.js';
import { cacheFolder } from '../files/cache-folder.js';
import { usualNormalisation } from './architecture.js';
import type { Backbone, BackboneConfig, Normalisation } from './backbone.js';
import { backboneFromFile } from './checkpoint.js';

export interface KnownBackbone extends Normalisation {
  /** timm's name: architecture.tag */
  readonly name: string;
  readonly config: BackboneConfig;
  /** Where the file comes from. */
  readonly source: string;
}

/** ViT-…/16 at 224 pixels: heads are 64 wide, the MLP is four times the width. */
function vit16(size: string, width: number, depth: number): KnownBackbone {
  const name = `vit_${size}_patch16_224.augreg_in21k`;
  const fixed = {
    family: 'vit',
    imageSize: 224,
    patchSize: 16,
    channels: 3,
    qkvBias: true,
    layerNormEps: 1e-6,
  } as const;
  const config = { ...fixed, width, depth, heads: width / 64, mlpWidth: 4 * width };
  return published(name, config);
}

function published(name: string, config: BackboneConfig): KnownBackbone {
  const source = `https://huggingface.co/timm/${name} (model.safetensors)`;
  return { name, config, source, ...usualNormalisation(config) };
}

/** Swin at 224 pixels, patches of 4, windows of 7: heads are 32 wide, the last stage's grid is one window. */
function swin224(size: string, tag: string, embedWidth: number, third: number): KnownBackbone {
  const fixed = { family: 'swin', imageSize: 224, patchSize: 4, channels: 3, windowSize: 7, mlpRatio: 4 } as const;
  const heads = [1, 2, 4, 8].map((times) => (times * embedWidth) / 32);
  const sizes = { embedWidth, depths: [2, 2, third, 2], heads, qkvBias: true, layerNormEps: 1e-5 };
  return published(`swin_${size}_patch4_window7_224.${tag}`, { ...fixed, ...sizes });
}

function bundled(name: string, width: number, heads: number): KnownBackbone {
  const fixed = {
    family: 'vit',
    imageSize: 32,
    patchSize: 4,
    channels: 3,
    qkvBias: true,
    layerNormEps: 1e-6,
    depth: 6,
  } as const;
  const config = { ...fixed, width, heads, mlpWidth: 4 * width };
  return { name, config, source: 'bundled with idat', ...usualNormalisation(config) };
}

export const KNOWN_BACKBONES: readonly KnownBackbone[] = [
  bundled('vit_micro_patch4_32.cifar10', 128, 4),
  bundled('vit_nano_patch4_32.cifar10', 64, 2),
  vit16('tiny', 192, 12),
  vit16('small', 384, 12),
  vit16('base', 768, 12),
  vit16('large', 1024, 24),
  ...['ms_in22k', 'ms_in22k_ft_in1k', 'ms_in1k'].flatMap((tag) => [
    swin224('tiny', tag, 96, 6),
    swin224('small', tag, 96, 18),
    swin224('base', tag, 128, 18),
  ]),
];

/** Folders searched for `NAME.safetensors`: the package's own, then the user's. */
export const MODEL_FOLDERS: readonly string[] = [
  fileURLToPath(new URL('../../assets/models', import.meta.url)),
  join(cacheFolder(), 'models'),
];

/** By timm's name; without a tag, the first of that architecture. */
export const knownBackbone = (wanted: string): KnownBackbone | undefined =>
  KNOWN_BACKBONES.find(({ name }) => name === wanted || name.split('.')[0] === wanted);

/** Whether a file or folder of the user's own is meant: what has a separator or the ending of a checkpoint. */
export const isModelPath = (nameOrPath: string): boolean =>
  /[\\/]|\.(safetensors|npz|json|pth|pt|bin|ckpt|h5|msgpack|onnx)$/i.test(nameOrPath);

/** What the user may set about a backbone. */
export interface BackboneOptions {
  /** Side of the input in pixels when it is not the checkpoint's; positions are resized. */
  readonly imageSize?: number | undefined;
  /** Epsilon of the norms when it is not the checkpoint's. */
  readonly layerNormEps?: number | undefined;
}

/**
 * A backbone by timm's name, or from a checkpoint of the user's own, given by its path.
 *
 * @throws IdatError for an unknown name (offering the nearest), or a known one whose file is not on this disk
 */
export async function resolveBackbone(nameOrPath: string, options: BackboneOptions = {}): Promise<Backbone> {
  const { imageSize, layerNormEps } = options;
  const wanted = { ...(imageSize !== undefined && { imageSize }), ...(layerNormEps !== undefined && { layerNormEps }) };
  if (isModelPath(nameOrPath)) return backboneFromFile(nameOrPath, { config: wanted });
  const known = knownBackbone(nameOrPath);
  if (!known) {
    // without a tag, compare with names without theirs
    const typed = nameOrPath.includes('.') ? (name: string) => name : (name: string) => name.split('.')[0]!;
    const near = nearest(
      nameOrPath,
      KNOWN_BACKBONES.map(({ name }) => typed(name)),
    );
    throw new IdatError(
      'backbone.unknown',
      `unknown model '${nameOrPath}'; did you mean ${near.join(', ')}? A file of your own is given by its path`,
    );
  }
  for (const folder of MODEL_FOLDERS) {
    const path = join(folder, `${known.name}.safetensors`);
    if (
      await access(path).then(
        () => true,
        () => false,
      )
    )
      return backboneFromFile(path, { ...known, config: { ...known.config, ...wanted } });
  }
  throw new IdatError(
    'backbone.absent',
    `${known.name} is not on this disk; get it from ${known.source} and put it at ${join(MODEL_FOLDERS[1]!, `${known.name}.safetensors`)}`,
  );
}
