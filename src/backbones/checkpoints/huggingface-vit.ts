/**
 * A ViT in the naming of Hugging Face's transformers: what versions up to 5 write to files, and the names that modules have
 * inside version 5, which a state dict saved by hand holds.
 *
 * @see transformers' models/vit/modeling_vit.py
 */
import { type Companions, checkClaims, preprocessorNormalisation, usableConfig } from './companions.js';
import { type Naming, type Table, type TensorFile, translated } from './naming.js';
import { viTSizes } from './vit-sizes.js';

const TITLE = "Hugging Face's naming of a ViT";

const TABLE: Table = {
  rows: [
    ['cls_token', 'embeddings.cls_token'],
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
    ['head.*', 'classifier.*'],
  ],
  // a layer between the features and an old head; what masked pre-training adds
  ignored: ['pooler.dense.*', 'embeddings.mask_token', 'decoder.#.*'],
};

export const huggingFaceViT: Naming = {
  title: TITLE,
  recognises: (names) => names.has('embeddings.cls_token') || names.has('vit.embeddings.cls_token'),
  translate(file: TensorFile, companions: Companions) {
    const tensors = translated(withoutPrefix(file, 'vit.'), TABLE, 'a plain ViT');
    const config = usableConfig(file.path, companions, 'vit');
    const facts = {
      heads: config?.num_attention_heads,
      // what transformers takes where its config is silent
      layerNormEps: config ? (config.layer_norm_eps ?? 1e-12) : undefined,
    };
    const sizes = viTSizes({ path: file.path, tensors }, facts, TITLE);
    checkClaims(companions, {
      hidden_size: sizes.width,
      num_hidden_layers: sizes.depth,
      intermediate_size: sizes.mlpWidth,
      image_size: sizes.imageSize,
      patch_size: sizes.patchSize,
      num_channels: sizes.channels,
      qkv_bias: sizes.qkvBias,
    });
    return { tensors, config: sizes, ...preprocessorNormalisation(companions) };
  },
};

/** Models with a head keep the backbone under a name of its own. */
export function withoutPrefix(file: TensorFile, prefix: string): TensorFile {
  const tensors = [...file.tensors].map(
    ([name, tensor]) => [name.startsWith(prefix) ? name.slice(prefix.length) : name, tensor] as const,
  );
  return { ...file, tensors: new Map(tensors) };
}
