/**
 * A Swin in the naming of Hugging Face's transformers: what versions up to 5 write to files, and the names that modules have
 * inside version 5, which a state dict saved by hand holds. Patches are merged behind a stage, as in idat's own naming.
 *
 * @see transformers' models/swin/modeling_swin.py
 */
import { type Companions, checkClaims, usableConfig } from './companions.js';
import { withoutPrefix } from './huggingface-vit.js';
import { type Naming, type Table, type TensorFile, translated } from './naming.js';
import { normalisationOf } from './normalisation.js';
import { swinSizes } from './swin-sizes.js';

const TITLE = "Hugging Face's naming of a Swin";

const block = (name: string) => `encoder.layers.#.blocks.#.${name}`;

const TABLE: Table = {
  rows: [
    ['patch_embed.proj.*', 'embeddings.patch_embeddings.projection.*'],
    ['patch_embed.norm.*', 'embeddings.norm.*'],
    ['layers.#.blocks.#.norm1.*', block('layernorm_before.*')],
    [
      'layers.#.blocks.#.attn.qkv.*',
      ['query', 'key', 'value'].map((part) => block(`attention.self.${part}.*`)),
      ['q_proj', 'k_proj', 'v_proj'].map((part) => block(`attention.${part}.*`)),
    ],
    [
      'layers.#.blocks.#.attn.relative_position_bias_table',
      block('attention.self.relative_position_bias_table'),
      block('attention.relative_position_bias.relative_position_bias_table'),
    ],
    ['layers.#.blocks.#.attn.proj.*', block('attention.output.dense.*'), block('attention.o_proj.*')],
    ['layers.#.blocks.#.norm2.*', block('layernorm_after.*')],
    ['layers.#.blocks.#.mlp.fc1.*', block('intermediate.dense.*'), block('mlp.fc1.*')],
    ['layers.#.blocks.#.mlp.fc2.*', block('output.dense.*'), block('mlp.fc2.*')],
    ['layers.#.downsample.norm.*', 'encoder.layers.#.downsample.norm.*'],
    ['layers.#.downsample.reduction.weight', 'encoder.layers.#.downsample.reduction.weight'],
    ['norm.*', 'layernorm.*'],
    ['head.*', 'classifier.*'],
  ],
  // follow from the sizes; what masked pre-training adds
  ignored: [
    block('attention.self.relative_position_index'),
    block('attention.relative_position_bias.relative_position_index'),
    'embeddings.mask_token',
    'decoder.#.*',
  ],
};

export const huggingFaceSwin: Naming = {
  title: TITLE,
  recognises: (names) =>
    ['', 'swin.'].some((prefix) => names.has(`${prefix}encoder.layers.0.blocks.0.layernorm_before.weight`)),
  translate(file: TensorFile, companions: Companions) {
    const tensors = translated(withoutPrefix(file, 'swin.'), TABLE, 'a plain Swin');
    const config = usableConfig(file.path, companions, { kinds: ['swin'], activations: ['gelu'] });
    const facts = { imageSize: config?.image_size, layerNormEps: config ? (config.layer_norm_eps ?? 1e-5) : undefined };
    const sizes = swinSizes({ path: file.path, tensors }, facts, TITLE);
    checkClaims(companions, {
      embed_dim: sizes.embedWidth,
      depths: sizes.depths,
      num_heads: sizes.heads,
      window_size: sizes.windowSize,
      mlp_ratio: sizes.mlpRatio,
      patch_size: sizes.patchSize,
      num_channels: sizes.channels,
      qkv_bias: sizes.qkvBias,
    });
    return { tensors, config: sizes, ...normalisationOf(file, companions) };
  },
};
