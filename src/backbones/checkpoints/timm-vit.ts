/**
 * A ViT in timm's naming, which is idat's own. The same names are in the files of DINOv2, DeiT, MAE, AugReg and many others.
 *
 * @see timm's models/vision_transformer.py
 */
import { imageSizeOf } from '../../image-size.js';
import type { Companions } from './companions.js';
import { metadataFacts } from './metadata.js';
import { type Naming, type Table, type TensorFile, translated } from './naming.js';
import { normalisationOf } from './normalisation.js';
import { reshaped, type StoredTensor } from './stored-tensor.js';
import { architectureFacts } from './timm-architectures.js';
import { namedFacts, type ViTFacts, viTSizes } from './vit-sizes.js';

const TITLE = "timm's naming of a ViT";

const same = (name: string) => [name, name] as const;

const VIT_TENSORS = [
  'cls_token',
  'dist_token',
  'reg_token',
  'pos_embed',
  'patch_embed.proj.*',
  'norm_pre.*',
  'blocks.#.norm1.*',
  'blocks.#.attn.qkv.*',
  'blocks.#.attn.q_norm.*',
  'blocks.#.attn.k_norm.*',
  'blocks.#.attn.proj.*',
  'blocks.#.ls1.gamma',
  'blocks.#.norm2.*',
  'blocks.#.mlp.fc1.*',
  'blocks.#.mlp.fc2.*',
  'blocks.#.ls2.gamma',
  'norm.*',
  'fc_norm.*',
  ...['latent', 'q.*', 'kv.*', 'proj.*', 'norm.*', 'mlp.fc1.*', 'mlp.fc2.*'].map((name) => `attn_pool.${name}`),
  'head.*',
];

const TABLE: Table = {
  rows: VIT_TENSORS.map(same),
  // layers between the features and the old head, a second one, and what masked pre-training adds
  ignored: ['pre_logits.*', 'pre_logits.fc.*', 'head_dist.*', 'mask_token', 'decoder_pos_embed', 'decoder_**'],
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
  translate(file: TensorFile, companions: Companions) {
    const tensors = translated(file, TABLE, 'a ViT');
    return {
      tensors,
      config: viTSizes({ path: file.path, tensors }, timmFacts(file, companions), TITLE),
      ...normalisationOf(file, companions),
    };
  },
};

/** What the file's notes, timm's config.json and timm's code say, in this order. */
export function timmFacts({ path, metadata }: TensorFile, { timm }: Companions): ViTFacts {
  const own = metadataFacts(metadata);
  const { model_args: args, pretrained_cfg, global_pool } = timm ?? {};
  const input = pretrained_cfg?.input_size;
  const known = architectureFacts(path, own.architecture ?? timm?.architecture);
  const named = namedFacts(path, {
    activation: own.activation ?? args?.act_layer,
    pool: own.pool ?? args?.global_pool ?? global_pool,
  });
  return {
    heads: own.heads ?? args?.num_heads,
    layerNormEps: own.layerNormEps ?? known.layerNormEps,
    activation: named.activation ?? known.activation,
    pool: named.pool ?? known.pool,
    rotary: own.rotary ?? known.rotary,
    imageSize: own.imageSize ?? args?.img_size ?? (input && imageSizeOf(input[1], input[2])),
  };
}
