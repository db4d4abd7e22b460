/**
 * DINOv3's ViT in the naming of Hugging Face's transformers. Keys have no bias; rotary positions follow from the sizes.
 *
 * @see transformers' models/dinov3_vit/modeling_dinov3_vit.py
 */
import { type Companions, checkClaims, usableConfig } from './companions.js';
import { claimsOf, withoutPrefix } from './huggingface-vit.js';
import { type Naming, type Table, type TensorFile, translated } from './naming.js';
import { IMAGENET, normalisationOf } from './normalisation.js';
import { withZeros } from './stored-tensor.js';
import { viTSizes } from './vit-sizes.js';

const TITLE = "Hugging Face's naming of DINOv3";

const block = (name: string) => `layer.#.${name}`;

const TABLE: Table = {
  rows: [
    ['cls_token', 'embeddings.cls_token'],
    ['reg_token', 'embeddings.register_tokens'],
    ['patch_embed.proj.*', 'embeddings.patch_embeddings.*'],
    ['blocks.#.norm1.*', block('norm1.*')],
    ['blocks.#.attn.qkv.*', ['q_proj', 'k_proj', 'v_proj'].map((part) => block(`attention.${part}.*`))],
    ['blocks.#.attn.proj.*', block('attention.o_proj.*')],
    ['blocks.#.ls1.gamma', block('layer_scale1.lambda1')],
    ['blocks.#.norm2.*', block('norm2.*')],
    ['blocks.#.mlp.fc1.*', ['gate_proj', 'up_proj'].map((part) => block(`mlp.${part}.*`))],
    ['blocks.#.mlp.fc2.*', block('mlp.down_proj.*')],
    ['blocks.#.ls2.gamma', block('layer_scale2.lambda1')],
    ['norm.*', 'norm.*'],
    ['head.*', 'classifier.*'],
  ],
  ignored: ['embeddings.mask_token', 'rope_embeddings.inv_freq'],
};

/** Without a gate, the first product of the MLP is the one before its second. */
const UNGATED: Table = {
  ...TABLE,
  rows: TABLE.rows.map((row) => (row[0] === 'blocks.#.mlp.fc1.*' ? [row[0], block('mlp.up_proj.*')] : row)),
};

const PREFIXES = ['', 'dinov3_vit.'];

export const huggingFaceDinov3: Naming = {
  title: TITLE,
  recognises: (names) =>
    PREFIXES.some((prefix) =>
      ['layer', 'model.layer'].some((layers) => names.has(`${prefix}${layers}.0.layer_scale1.lambda1`)),
    ),
  translate(file: TensorFile, companions: Companions) {
    const bare = [...PREFIXES, 'model.'].reduce(withoutPrefix, file);
    const gated = [...bare.tensors.keys()].some((name) => name.includes('.mlp.gate_proj.'));
    const whole = withZeros(bare, /(\.attention\.)q_proj\.bias$/, '$1k_proj.bias');
    const tensors = translated(whole, gated ? TABLE : UNGATED, 'DINOv3');
    const config = usableConfig(file.path, companions, { kinds: ['dinov3_vit'], activations: ['gelu', 'silu'] });
    const facts = {
      heads: config?.num_attention_heads,
      layerNormEps: config?.layer_norm_eps ?? 1e-5,
      // what transformers takes where its config is silent
      activation: config ? (config.activation ?? 'gelu') : undefined,
      rotary: config?.rope_theta ?? 100,
      imageSize: config?.image_size,
    };
    const sizes = viTSizes({ path: file.path, tensors }, facts, TITLE);
    checkClaims(companions, claimsOf(sizes));
    return { tensors, config: sizes, ...normalisationOf(file, companions, IMAGENET) };
  },
};
