/**
 * DINOv2, with registers or without, in the naming of Hugging Face's transformers: what versions up to 5 write to files, and
 * the names that modules have inside version 5.
 *
 * @see transformers' models/dinov2 and models/dinov2_with_registers
 */
import { type Companions, checkClaims, usableConfig } from './companions.js';
import { claimsOf, withoutPrefix } from './huggingface-vit.js';
import { type Naming, type Table, type TensorFile, translated } from './naming.js';
import { IMAGENET, normalisationOf } from './normalisation.js';
import { viTSizes } from './vit-sizes.js';

const TITLE = "Hugging Face's naming of DINOv2";

const block = (name: string) => `encoder.layer.#.${name}`;

const TABLE: Table = {
  rows: [
    ['cls_token', 'embeddings.cls_token'],
    ['reg_token', 'embeddings.register_tokens'],
    ['pos_embed', 'embeddings.position_embeddings'],
    ['patch_embed.proj.*', 'embeddings.patch_embeddings.projection.*'],
    ['blocks.#.norm1.*', block('norm1.*')],
    [
      'blocks.#.attn.qkv.*',
      ['query', 'key', 'value'].map((part) => block(`attention.attention.${part}.*`)),
      ['q_proj', 'k_proj', 'v_proj'].map((part) => block(`attention.${part}.*`)),
    ],
    ['blocks.#.attn.proj.*', block('attention.output.dense.*'), block('attention.o_proj.*')],
    ['blocks.#.ls1.gamma', block('layer_scale1.lambda1')],
    ['blocks.#.norm2.*', block('norm2.*')],
    [
      'blocks.#.mlp.fc1.*',
      block('mlp.fc1.*'),
      block('mlp.weights_in.*'),
      ['gate_proj', 'up_proj'].map((part) => block(`mlp.${part}.*`)),
    ],
    ['blocks.#.mlp.fc2.*', block('mlp.fc2.*'), block('mlp.weights_out.*'), block('mlp.down_proj.*')],
    ['blocks.#.ls2.gamma', block('layer_scale2.lambda1')],
    ['norm.*', 'layernorm.*'],
    ['head.*', 'classifier.*'],
  ],
  // what stands in place of patches in pre-training
  ignored: ['embeddings.mask_token'],
};

const PREFIXES = ['', 'dinov2.', 'dinov2_with_registers.'];

export const huggingFaceDinov2: Naming = {
  title: TITLE,
  recognises: (names) => PREFIXES.some((prefix) => names.has(`${prefix}encoder.layer.0.layer_scale1.lambda1`)),
  translate(file: TensorFile, companions: Companions) {
    const tensors = translated(PREFIXES.reduce(withoutPrefix, file), TABLE, 'DINOv2');
    const kind = tensors.has('reg_token') ? 'dinov2_with_registers' : 'dinov2';
    const config = usableConfig(file.path, companions, { kinds: [kind], activations: ['gelu'] });
    const facts = {
      heads: config?.num_attention_heads,
      layerNormEps: config?.layer_norm_eps,
      imageSize: config?.image_size,
    };
    const sizes = viTSizes({ path: file.path, tensors }, facts, TITLE);
    const { intermediate_size: _, ...claims } = claimsOf(sizes);
    checkClaims(companions, claims);
    return { tensors, config: sizes, ...normalisationOf(file, companions, IMAGENET) };
  },
};
