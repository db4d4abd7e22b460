/**
 * A ViT, a DeiT or a masked autoencoder's encoder in the naming of Hugging Face's transformers: what versions up to 5 write to files, and the names that modules have
 * inside version 5, which a state dict saved by hand holds.
 *
 * @see transformers' models/vit/modeling_vit.py
 */
import { ALL_ACTIVATIONS } from '../activations.js';
import type { ViTConfig } from '../backbone.js';
import { type Companions, checkClaims, usableConfig } from './companions.js';
import { type Naming, type Table, type TensorFile, translated } from './naming.js';
import { IMAGENET, normalisationOf } from './normalisation.js';
import { viTSizes } from './vit-sizes.js';

const TITLE = "Hugging Face's naming of a ViT";

const TABLE: Table = {
  rows: [
    ['cls_token', 'embeddings.cls_token'],
    ['dist_token', 'embeddings.distillation_token'],
    ['pos_embed', 'embeddings.position_embeddings'],
    ['patch_embed.proj.*', 'embeddings.patch_embeddings.projection.*'],
    ['blocks.#.norm1.*', 'encoder.layer.#.layernorm_before.*', 'layers.#.layernorm_before.*'],
    [
      'blocks.#.attn.qkv.*',
      ['query', 'key', 'value'].map((part) => `encoder.layer.#.attention.attention.${part}.*`),
      ['q_proj', 'k_proj', 'v_proj'].map((part) => `layers.#.attention.${part}.*`),
    ],
    ['blocks.#.attn.proj.*', 'encoder.layer.#.attention.output.dense.*', 'layers.#.attention.o_proj.*'],
    ['blocks.#.norm2.*', 'encoder.layer.#.layernorm_after.*', 'layers.#.layernorm_after.*'],
    ['blocks.#.mlp.fc1.*', 'encoder.layer.#.intermediate.dense.*', 'layers.#.mlp.fc1.*'],
    ['blocks.#.mlp.fc2.*', 'encoder.layer.#.output.dense.*', 'layers.#.mlp.fc2.*'],
    ['norm.*', 'layernorm.*'],
    ['head.*', 'classifier.*', 'cls_classifier.*'],
  ],
  // a layer between the features and an old head, a second head; what masked pre-training adds
  ignored: ['pooler.dense.*', 'distillation_classifier.*', 'embeddings.mask_token', 'decoder.**'],
};

/** Models with a head keep the backbone under a name of its own. */
const PREFIXES = ['', 'vit.', 'deit.'];

/** Published ViTs of these names, by what is in them. */
const KINDS = {
  plain: { kinds: ['vit', 'vit_mae'], activations: ALL_ACTIVATIONS },
  distilled: { kinds: ['deit'], activations: ALL_ACTIVATIONS },
} as const;

export const huggingFaceViT: Naming = {
  title: TITLE,
  recognises: (names) => PREFIXES.some((prefix) => names.has(`${prefix}embeddings.cls_token`)),
  translate(file: TensorFile, companions: Companions) {
    const bare = PREFIXES.reduce(withoutPrefix, file);
    const tensors = translated(bare, TABLE, 'a ViT');
    const kind = tensors.has('dist_token') ? 'distilled' : 'plain';
    const config = usableConfig(file.path, companions, KINDS[kind]);
    const facts = {
      heads: config?.num_attention_heads,
      // what transformers takes where its config is silent
      layerNormEps: config ? (config.layer_norm_eps ?? 1e-12) : undefined,
      activation: config?.activation,
      imageSize: config?.image_size,
    };
    const sizes = viTSizes({ path: file.path, tensors }, facts, TITLE);
    checkClaims(companions, claimsOf(sizes));
    const trainedOnImageNet = kind === 'distilled' || companions.huggingFace?.model_type === 'vit_mae';
    return { tensors, config: sizes, ...normalisationOf(file, companions, trainedOnImageNet ? IMAGENET : {}) };
  },
};

/** What transformers' configuration says of sizes that tensors show. */
export const claimsOf = (sizes: ViTConfig) => ({
  hidden_size: sizes.width,
  num_hidden_layers: sizes.depth,
  image_size: sizes.imageSize,
  patch_size: sizes.patchSize,
  num_channels: sizes.channels,
  qkv_bias: sizes.qkvBias,
  intermediate_size: sizes.gatedMlp ? sizes.mlpWidth / 2 : sizes.mlpWidth,
});

/** Models with a head keep the backbone under a name of its own. */
export function withoutPrefix(file: TensorFile, prefix: string): TensorFile {
  if (prefix === '') return file;
  const tensors = [...file.tensors].map(
    ([name, tensor]) => [name.startsWith(prefix) ? name.slice(prefix.length) : name, tensor] as const,
  );
  return { ...file, tensors: new Map(tensors) };
}
