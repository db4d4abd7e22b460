/**
 * A ViT in timm's naming, which is idat's own. The same names are in the files of DeiT, MAE, AugReg and many others.
 *
 * @see timm's models/vision_transformer.py
 */
import { type Companions, timmNormalisation } from './companions.js';
import { metadataFacts } from './metadata.js';
import { type Naming, type Table, type TensorFile, translated } from './naming.js';
import { reshaped, type StoredTensor } from './stored-tensor.js';
import { viTSizes } from './vit-sizes.js';

const TITLE = "timm's naming of a ViT";

const same = (name: string) => [name, name] as const;

export const VIT_TENSORS = [
  'cls_token',
  'pos_embed',
  'patch_embed.proj.*',
  'blocks.#.norm1.*',
  'blocks.#.attn.qkv.*',
  'blocks.#.attn.proj.*',
  'blocks.#.norm2.*',
  'blocks.#.mlp.fc1.*',
  'blocks.#.mlp.fc2.*',
  'norm.*',
  'head.*',
];

const TABLE: Table = {
  rows: VIT_TENSORS.map(same),
  // a layer between the features and the old head; what masked pre-training puts in place of patches
  ignored: ['pre_logits.*', 'pre_logits.fc.*', 'mask_token'],
  adapt: (ours, tensor) => (ours === 'patch_embed.proj.weight' ? withSquarePatches(tensor) : tensor),
};

/** Very old files keep the kernel flattened, [D, 3·P·P]. */
function withSquarePatches(kernel: StoredTensor): StoredTensor {
  const [width, numbers] = kernel.shape;
  const side = Math.sqrt((numbers ?? 0) / 3);
  return kernel.shape.length === 2 && Number.isInteger(side) ? reshaped(kernel, [width!, 3, side, side]) : kernel;
}

export const timmViT: Naming = {
  title: TITLE,
  recognises: (names) => names.has('blocks.0.attn.qkv.weight') || (names.has('cls_token') && names.has('pos_embed')),
  translate(file: TensorFile, { timm }: Companions) {
    const tensors = translated(file, TABLE, 'a plain ViT');
    const { heads, layerNormEps, mean, std } = metadataFacts(file.metadata);
    const normalisation = timmNormalisation(timm);
    const facts = { heads: heads ?? timm?.model_args?.num_heads, layerNormEps };
    return {
      tensors,
      config: viTSizes({ path: file.path, tensors }, facts, TITLE),
      mean: mean ?? normalisation.mean,
      std: std ?? normalisation.std,
    };
  },
};
