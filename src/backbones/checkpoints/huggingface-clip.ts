/**
 * The image towers of CLIP and SigLIP in the naming of Hugging Face's transformers; the towers of texts are passed over.
 *
 * @see transformers' models/clip/modeling_clip.py and models/siglip/modeling_siglip.py
 */
import { ALL_ACTIVATIONS } from '../activations.js';
import type { Activation, Normalisation } from '../backbone.js';
import { type Companions, checkClaims, usableConfig } from './companions.js';
import { claimsOf, withoutPrefix } from './huggingface-vit.js';
import { type Naming, type Table, type TensorFile, translated } from './naming.js';
import { normalisationOf } from './normalisation.js';
import { reshaped, rowsOf, type StoredTensor } from './stored-tensor.js';
import { viTSizes } from './vit-sizes.js';

const TITLE = "Hugging Face's naming of CLIP and SigLIP";

const block = (name: string) => `encoder.layers.#.${name}`;

const TABLE: Table = {
  rows: [
    ['cls_token', 'embeddings.class_embedding'],
    ['pos_embed', 'embeddings.position_embedding.weight'],
    ['patch_embed.proj.*', 'embeddings.patch_embedding.*'],
    ['norm_pre.*', 'pre_layrnorm.*', 'pre_layernorm.*'],
    ['blocks.#.norm1.*', block('layer_norm1.*')],
    ['blocks.#.attn.qkv.*', ['q_proj', 'k_proj', 'v_proj'].map((part) => block(`self_attn.${part}.*`))],
    ['blocks.#.attn.proj.*', block('self_attn.out_proj.*')],
    ['blocks.#.norm2.*', block('layer_norm2.*')],
    ['blocks.#.mlp.fc1.*', block('mlp.fc1.*')],
    ['blocks.#.mlp.fc2.*', block('mlp.fc2.*')],
    ['norm.*', 'post_layernorm.*'],
    ['attn_pool.latent', 'head.probe'],
    ['attn_pool.q.*', 'head.attention.q.*'],
    ['attn_pool.kv.*', 'head.attention.kv.*'],
    ['attn_pool.proj.*', 'head.attention.out_proj.*'],
    ['attn_pool.norm.*', 'head.layernorm.*'],
    ['attn_pool.mlp.fc1.*', 'head.mlp.fc1.*'],
    ['attn_pool.mlp.fc2.*', 'head.mlp.fc2.*'],
    ['head.*', 'classifier.*'],
  ],
  // what belongs to texts, and to comparing images with them
  ignored: [
    'text_model.**',
    'text_projection.*',
    'visual_projection.*',
    'logit_scale',
    'logit_bias',
    'embeddings.position_ids',
  ],
  adapt(ours, tensor) {
    if (ours === 'cls_token') return reshaped(tensor, [1, 1, ...tensor.shape]);
    return ours === 'pos_embed' ? reshaped(tensor, [1, ...tensor.shape]) : tensor;
  },
};

/** What is known of published models where nothing beside the file says it. */
interface Kind {
  readonly kinds: readonly string[];
  readonly layerNormEps: number;
  /** Undefined: published ones differ. */
  readonly activation: Activation | undefined;
  /** What transformers takes where its config is silent. */
  readonly silent: Activation;
  readonly normalisation: Normalisation;
}

const CLIP: Kind = {
  kinds: ['clip', 'clip_vision_model'],
  layerNormEps: 1e-5,
  activation: undefined,
  silent: 'quick_gelu',
  normalisation: { mean: [0.48145466, 0.4578275, 0.40821073], std: [0.26862954, 0.26130258, 0.27577711] },
};

const SIGLIP: Kind = {
  kinds: ['siglip', 'siglip_vision_model'],
  layerNormEps: 1e-6,
  activation: 'gelu_tanh',
  silent: 'gelu_tanh',
  normalisation: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
};

const FIRST = 'encoder.layers.0.self_attn.q_proj.weight';

export const huggingFaceClip: Naming = {
  title: TITLE,
  recognises: (names) => names.has(FIRST) || names.has(`vision_model.${FIRST}`),
  translate(file: TensorFile, companions: Companions) {
    const tensors = translated(withPoolingApart(withoutPrefix(file, 'vision_model.')), TABLE, 'an image tower');
    const kind = tensors.has('norm_pre.weight') ? CLIP : SIGLIP;
    const config = usableConfig(file.path, companions, { kinds: kind.kinds, activations: ALL_ACTIVATIONS });
    const facts = {
      heads: config?.num_attention_heads,
      layerNormEps: config?.layer_norm_eps ?? kind.layerNormEps,
      activation: config ? (config.activation ?? kind.silent) : kind.activation,
      imageSize: config?.image_size,
    };
    const sizes = viTSizes({ path: file.path, tensors }, facts, TITLE);
    checkClaims(companions, claimsOf(sizes));
    return { tensors, config: sizes, ...normalisationOf(file, companions, kind.normalisation) };
  },
};

/** PyTorch keeps queries, keys and values of attention pooling in one tensor; only the queries have another source. */
function withPoolingApart(file: TensorFile): TensorFile {
  const tensors = new Map<string, StoredTensor>();
  for (const [name, t] of file.tensors) {
    const part = /^head\.attention\.in_proj_(weight|bias)$/.exec(name)?.[1];
    const width = t.shape[0]! / 3;
    if (part === undefined || !Number.isInteger(width)) {
      tensors.set(name, t);
      continue;
    }
    tensors.set(`head.attention.q.${part}`, rowsOf(t, 0, width));
    tensors.set(`head.attention.kv.${part}`, rowsOf(t, width, 3 * width));
  }
  return { ...file, tensors };
}
