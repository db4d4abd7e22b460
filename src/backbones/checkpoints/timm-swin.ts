/**
 * A Swin in timm's naming, which numbers the merging of patches in two ways: behind a stage (Microsoft's files, timm before
 * 0.9; idat's own) or in front of the next one (timm since 0.9, which also calls the head head.fc).
 *
 * @see timm's models/swin_transformer.py, at 0.6.13 and at 0.9
 */
import type { ImageSize } from '../../image-size.js';
import type { Companions } from './companions.js';
import { metadataFacts } from './metadata.js';
import { type Naming, type Table, type TensorFile, translated } from './naming.js';
import { normalisationOf } from './normalisation.js';
import { swinSizes } from './swin-sizes.js';

const TITLE = "timm's naming of a Swin";

const same = (name: string) => [name, name] as const;

const TABLE: Table = {
  rows: [
    ...[
      'patch_embed.proj.*',
      'patch_embed.norm.*',
      'layers.#.blocks.#.norm1.*',
      'layers.#.blocks.#.attn.qkv.*',
      'layers.#.blocks.#.attn.relative_position_bias_table',
      'layers.#.blocks.#.attn.proj.*',
      'layers.#.blocks.#.norm2.*',
      'layers.#.blocks.#.mlp.fc1.*',
      'layers.#.blocks.#.mlp.fc2.*',
      'layers.#.downsample.norm.*',
      'layers.#.downsample.reduction.weight',
      'norm.*',
    ].map(same),
    ['head.*', 'head.*', 'head.fc.*'],
  ],
  // follow from the sizes
  ignored: ['layers.#.blocks.#.attn.relative_position_index', 'layers.#.blocks.#.attn_mask'],
};

export const timmSwin: Naming = {
  title: TITLE,
  recognises: (names) => names.has('layers.0.blocks.0.norm1.weight'),
  translate(file: TensorFile, companions: Companions) {
    const { timm } = companions;
    const tensors = translated(numberedBehind(file), TABLE, 'a plain Swin');
    const { imageSize, layerNormEps } = metadataFacts(file.metadata);
    const sizes = (side?: ImageSize) =>
      swinSizes({ path: file.path, tensors }, { imageSize: side, layerNormEps }, TITLE);
    const masked = maskedWindows(file) * sizes().patchSize * sizes().windowSize;
    return {
      tensors,
      config: sizes(imageSize ?? timm?.model_args?.img_size ?? (masked || undefined)),
      ...normalisationOf(file, companions),
    };
  },
};

/** Windows along a side of the first stage, from the mask that older files hold for shifted ones; 0 where there is none. */
function maskedWindows({ tensors }: TensorFile): number {
  const mask = tensors.get('layers.0.blocks.1.attn_mask');
  return mask?.shape.length === 3 ? Math.sqrt(mask.shape[0]!) : 0;
}

function numberedBehind(file: TensorFile): TensorFile {
  if (file.tensors.has('layers.0.downsample.reduction.weight')) return file;
  const tensors = [...file.tensors].map(([name, tensor]) => [behind(name), tensor] as const);
  return { ...file, tensors: new Map(tensors) };
}

const behind = (name: string): string =>
  name.replace(/^layers\.([1-9]\d{0,5})\.downsample\./, (_, stage) => `layers.${Number(stage) - 1}.downsample.`);
