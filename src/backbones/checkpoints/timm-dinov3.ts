/**
 * DINOv3 in timm's naming, that of its EVA: layer scale under other names, biases of queries and values apart and none of
 * keys, a gated MLP in two products. Rotary positions are made anew.
 *
 * @see timm's models/eva.py
 */
import { IdatError } from '../../errors.js';
import type { Companions } from './companions.js';
import { metadataFacts } from './metadata.js';
import { type Naming, type Table, type TensorFile, translated } from './naming.js';
import { IMAGENET, normalisationOf } from './normalisation.js';
import { withZeros } from './stored-tensor.js';
import { timmFacts } from './timm-vit.js';
import { viTSizes } from './vit-sizes.js';

const TITLE = "timm's naming of DINOv3";

const same = (name: string) => [name, name] as const;

const TABLE: Table = {
  rows: [
    ...['cls_token', 'reg_token', 'patch_embed.proj.*', 'norm.*', 'fc_norm.*', 'head.*'].map(same),
    ...['norm1.*', 'norm2.*', 'attn.proj.*', 'mlp.fc2.*'].map((name) => same(`blocks.#.${name}`)),
    ['blocks.#.attn.qkv.weight', 'blocks.#.attn.qkv.weight'],
    [
      'blocks.#.attn.qkv.bias',
      'blocks.#.attn.qkv.bias',
      ['q_bias', 'k_bias', 'v_bias'].map((name) => `blocks.#.attn.${name}`),
    ],
    ['blocks.#.ls1.gamma', 'blocks.#.gamma_1'],
    ['blocks.#.ls2.gamma', 'blocks.#.gamma_2'],
    ['blocks.#.mlp.fc1.*', 'blocks.#.mlp.fc1.*', ['fc1_g', 'fc1_x'].map((name) => `blocks.#.mlp.${name}.*`)],
  ],
  ignored: ['mask_token', 'rope.**'],
};

export const timmDinov3: Naming = {
  title: TITLE,
  recognises: (names) => names.has('blocks.0.gamma_1') && names.has('cls_token') && names.has('reg_token'),
  translate(file: TensorFile, companions: Companions) {
    const facts = timmFacts(file, companions);
    if (facts.rotary === undefined) {
      const named = metadataFacts(file.metadata).architecture ?? companions.timm?.architecture ?? 'no architecture';
      throw new IdatError(
        'backbone.architecture',
        `${file.path}: is named as DINOv3, and so are other models with other positions (it names ${named}); put timm's config.json beside it, or store architecture in its metadata, such as vit_small_patch16_dinov3`,
      );
    }
    const tensors = translated(withZeros(file, /(\.attn\.)q_bias$/, '$1k_bias'), TABLE, 'DINOv3');
    const config = viTSizes({ path: file.path, tensors }, facts, TITLE);
    return { tensors, config, ...normalisationOf(file, companions, IMAGENET) };
  },
};
