/** A small plain ViT, and small ones that differ from it as published models do. */
import type { ViTConfig } from '../src/backbones/backbone.js';

export const SMALL_VIT: ViTConfig = {
  family: 'vit',
  imageSize: 8,
  patchSize: 4,
  channels: 3,
  width: 8,
  depth: 2,
  heads: 2,
  mlpWidth: 12,
  qkvBias: true,
  layerNormEps: 1e-6,
};

/** Small ViTs that differ from the plain one as published models do; together they have every variation. */
export const SMALL_VARIANTS = {
  'DINOv2 with registers': { ...SMALL_VIT, layerScale: true, registers: 2 },
  'SigLIP 2': { ...SMALL_VIT, classToken: false, activation: 'gelu_tanh', pool: 'map' },
  CLIP: { ...SMALL_VIT, patchBias: false, preNorm: true, activation: 'quick_gelu' },
  DINOv3: {
    ...SMALL_VIT,
    ...{ registers: 1, positions: 'none', rotary: 100, layerScale: true, activation: 'silu', gatedMlp: true },
    ...{ pool: 'avg', normAfterPool: true, qkNorm: true },
  },
  'a reader of oblong images': { ...SMALL_VIT, imageSize: [8, 12] },
  'DeiT, distilled': { ...SMALL_VIT, distillationToken: true, pool: 'distilled', positions: 'patches' },
} as const satisfies Record<string, ViTConfig>;
