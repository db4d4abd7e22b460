import { z } from 'zod';
import { blocks } from '../backbones/architecture.js';
import type { BackboneConfig } from '../backbones/backbone.js';
import { add, mul } from '../graph/ops/index.js';
import { type Shape, size, type Tensor } from '../graph/tensor.js';
import type { MergedTensors, MergeSource, Method } from './method.js';
import { normal } from './parts/initialisers.js';
import { mergedWidths } from './parts/swin-counts.js';

/** A factor and a shift for each number behind every frozen product and norm: o ← γ⊙o + β. */
export const ssf: Method = {
  name: 'ssf',
  title: 'Scaling and shifting features (SSF)',
  paper: 'Lian et al. 2022, arXiv:2210.08823, Eq. 3; sites as in its code (dongzelian/SSF)',
  equation: 'o ← γ⊙o + β behind patch embedding, LN1, qkv, proj, LN2, fc1, fc2 and the last norm',
  options: z.object({}),
  families: ['vit', 'swin'],
  identityAtStart: () => false, // γ is drawn around 1, β around 0
  count: countSsf,
  trains: () => false,
  hooks(scope, config) {
    const names = blocks(config).map(({ name }) => name);
    const tune = (layer: string, x: Tensor): Tensor => {
      const width = [x.shape.at(-1)!];
      const factor = scope.tensor(`${layer}.ssf.scale`, width, normal(0.02, 1));
      return add(mul(x, factor), scope.tensor(`${layer}.ssf.shift`, width, normal(0.02)));
    };
    const inBlock = (layer: string) => (block: number, x: Tensor) => tune(`${names[block]}.${layer}`, x);
    return {
      patchEmbedding: (x) => tune('patch_embed.proj', x),
      patchNorm: (x) => tune('patch_embed.norm', x),
      mergingNorm: (stage, x) => tune(`layers.${stage}.downsample.norm`, x),
      norm1: inBlock('norm1'),
      qkv: inBlock('attn.qkv'),
      projection: inBlock('attn.proj'),
      norm2: inBlock('norm2'),
      fc1: inBlock('mlp.fc1'),
      fc2: inBlock('mlp.fc2'),
      finalNorm: (x) => tune('norm', x),
    };
  },
  merge: mergeSsf,
};

/** Twice the numbers of each output: 7D + M in a block, D for the patches and the last norm; in a Swin its other norms. */
function countSsf(config: BackboneConfig): number {
  const all = blocks(config);
  const outputs = all.map(({ width: D, mlpWidth: M }) => 7 * D + M);
  outputs.push(all[0]!.width, all.at(-1)!.width);
  if (config.family === 'swin') outputs.push(config.embedWidth, ...mergedWidths(config).map((D) => 4 * D));
  return 2 * outputs.reduce((a, b) => a + b, 0);
}

/** Rows of every weight times γ, biases γ⊙b + β. */
function mergeSsf(config: BackboneConfig, _options: unknown, { tuned, frozen }: MergeSource): MergedTensors {
  const merged = new Map<string, () => Float32Array>();
  for (const { layer, shape, hasBias } of layersOf(config)) {
    const [rows] = shape as [number];
    const factors = () => tuned(`${layer}.ssf.scale`);
    merged.set(`${layer}.weight`, () => {
      const row = size(shape) / rows;
      const factor = factors();
      return frozen(`${layer}.weight`, shape).map((value, i) => value * factor[Math.floor(i / row)]!);
    });
    merged.set(`${layer}.bias`, () => {
      const factor = factors();
      const bias = hasBias ? frozen(`${layer}.bias`, [rows]) : new Float32Array(rows);
      return tuned(`${layer}.ssf.shift`).map((shift, i) => factor[i]! * bias[i]! + shift);
    });
  }
  return merged;
}

interface Layer {
  readonly layer: string;
  /** Of its weight. */
  readonly shape: Shape;
  readonly hasBias: boolean;
}

/** Every layer whose output is tuned. */
function layersOf(config: BackboneConfig): Layer[] {
  const all = blocks(config);
  const { channels, patchSize, qkvBias } = config;
  const layer = (name: string, shape: Shape, hasBias = true): Layer => ({ layer: name, shape, hasBias });
  const ofSwin = config.family === 'swin' ? [layer('patch_embed.norm', [config.embedWidth])] : [];
  if (config.family === 'swin') {
    mergedWidths(config).forEach((D, stage) => {
      ofSwin.push(layer(`layers.${stage}.downsample.norm`, [4 * D]));
    });
  }
  return [
    layer('patch_embed.proj', [all[0]!.width, channels, patchSize, patchSize]),
    ...ofSwin,
    ...all.flatMap(({ name, width: D, mlpWidth: M }) => [
      layer(`${name}.norm1`, [D]),
      layer(`${name}.attn.qkv`, [3 * D, D], qkvBias),
      layer(`${name}.attn.proj`, [D, D]),
      layer(`${name}.norm2`, [D]),
      layer(`${name}.mlp.fc1`, [M, D]),
      layer(`${name}.mlp.fc2`, [D, M]),
    ]),
    layer('norm', [all.at(-1)!.width]),
  ];
}
