/**
 * A ViT in the naming of Google's own code (JAX, Flax), as published in .npz files: the original ImageNet-21k weights and
 * AugReg's. Its kernels are [in, out], where idat's weights are [out, in].
 *
 * Letters: D width, H heads, h = D/H, P patch size, M width of the MLP.
 *
 * @see google-research/vision_transformer, vit_jax/models_vit.py
 */
import { IdatError } from '../../errors.js';
import { formatShape } from '../../graph/tensor.js';
import { type Naming, type Table, type TensorFile, translated } from './naming.js';
import { permuted, reshaped, type StoredTensor } from './stored-tensor.js';
import { viTSizes } from './vit-sizes.js';

const TITLE = "Google's naming of a ViT";

const block = (name: string) => `Transformer/encoderblock_#/${name}`;
const heads = (kind: string) =>
  ['query', 'key', 'value'].map((part) => block(`MultiHeadDotProductAttention_1/${part}/${kind}`));

const TABLE: Table = {
  rows: [
    ['cls_token', 'cls'],
    ['pos_embed', 'Transformer/posembed_input/pos_embedding'],
    ['patch_embed.proj.weight', 'embedding/kernel'],
    ['patch_embed.proj.bias', 'embedding/bias'],
    ['blocks.#.norm1.weight', block('LayerNorm_0/scale')],
    ['blocks.#.norm1.bias', block('LayerNorm_0/bias')],
    ['blocks.#.attn.qkv.weight', heads('kernel')],
    ['blocks.#.attn.qkv.bias', heads('bias')],
    ['blocks.#.attn.proj.weight', block('MultiHeadDotProductAttention_1/out/kernel')],
    ['blocks.#.attn.proj.bias', block('MultiHeadDotProductAttention_1/out/bias')],
    ['blocks.#.norm2.weight', block('LayerNorm_2/scale')],
    ['blocks.#.norm2.bias', block('LayerNorm_2/bias')],
    ['blocks.#.mlp.fc1.weight', block('MlpBlock_3/Dense_0/kernel')],
    ['blocks.#.mlp.fc1.bias', block('MlpBlock_3/Dense_0/bias')],
    ['blocks.#.mlp.fc2.weight', block('MlpBlock_3/Dense_1/kernel')],
    ['blocks.#.mlp.fc2.bias', block('MlpBlock_3/Dense_1/bias')],
    ['norm.weight', 'Transformer/encoder_norm/scale'],
    ['norm.bias', 'Transformer/encoder_norm/bias'],
    ['head.weight', 'head/kernel'],
    ['head.bias', 'head/bias'],
  ],
  // a layer between the features and the old head
  ignored: ['pre_logits/kernel', 'pre_logits/bias'],
  adapt: (ours, tensor) => toOurs(ours.replace(/^blocks\.\d+\./, ''), tensor),
};

function toOurs(ours: string, t: StoredTensor): StoredTensor {
  const rank = { 'patch_embed.proj.weight': 4, 'attn.qkv.weight': 3, 'attn.proj.weight': 3, 'attn.qkv.bias': 2 }[ours];
  const expected =
    rank ?? (ours === 'cls_token' || ours === 'pos_embed' ? 3 : /(fc.|head)\.weight$/.test(ours) ? 2 : 1);
  if (t.shape.length !== expected) {
    const what = `tensor ${t.name} is ${formatShape(t.shape)}, it should have ${expected} axes`;
    throw new IdatError('backbone.tensor', `${what} in ${TITLE}`);
  }
  const [a, b, c] = t.shape as [number, number, number];
  switch (ours) {
    case 'patch_embed.proj.weight': // [P, P, 3, D]
      return permuted(t, [3, 2, 0, 1]);
    case 'attn.qkv.weight': // [D, H, h] -> [D, D]
      return reshaped(permuted(t, [1, 2, 0]), [b * c, a]);
    case 'attn.qkv.bias': // [H, h]
      return reshaped(t, [a * b]);
    case 'attn.proj.weight': // [H, h, D] -> [D, D]
      return reshaped(permuted(t, [2, 0, 1]), [c, a * b]);
    default:
      return expected === 2 ? permuted(t, [1, 0]) : t;
  }
}

export const googleViT: Naming = {
  title: TITLE,
  recognises: (names) => [...names.keys()].some((name) => bare(name) === 'embedding/kernel'),
  translate(file: TensorFile) {
    const model = modelOf(file);
    const query = model.tensors.get('Transformer/encoderblock_0/MultiHeadDotProductAttention_1/query/kernel');
    const tensors = translated(model, TABLE, 'a ViT');
    const config = viTSizes({ path: file.path, tensors }, { heads: query?.shape[1] }, TITLE);
    return { tensors, config, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };
  },
};

/** In a file saved with the state of its training, the model is the optimiser's target. */
const bare = (name: string): string => name.replace(/^opt\/target\//, '');

function modelOf(file: TensorFile): TensorFile {
  const inTraining = [...file.tensors.keys()].some((name) => name.startsWith('opt/target/'));
  if (!inTraining) return file;
  const tensors = [...file.tensors].filter(([name]) => name.startsWith('opt/target/'));
  return { ...file, tensors: new Map(tensors.map(([name, tensor]) => [bare(name), tensor])) };
}
