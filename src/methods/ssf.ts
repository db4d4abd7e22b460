import { z } from 'zod';
import { blocks, tensorShapes } from '../backbones/architecture.js';
import type { BackboneConfig } from '../backbones/backbone.js';
import { add, mul } from '../graph/ops/index.js';
import { type Shape, size, type Tensor } from '../graph/tensor.js';
import type { MergedTensors, MergeSource, Method } from './method.js';
import { normal } from './parts/initialisers.js';

/** A factor and a shift for each number behind every frozen product and norm: o ← γ⊙o + β. */
export const ssf: Method = {
  name: 'ssf',
  title: 'Scaling and shifting features (SSF)',
  paper: 'Lian et al. 2022, arXiv:2210.08823, Eq. 3; sites as in its code (dongzelian/SSF)',
  equation: 'o ← γ⊙o + β behind patch embedding, LN1, qkv, proj, LN2, fc1, fc2 and the last norm',
  options: z.object({}),
  families: ['vit', 'swin'],
  identityAtStart: () => false, // γ is drawn around 1, β around 0
  count: (config, _options, region) =>
    2 *
    layersOf(config)
      .filter(({ layer }) => region.has(`${layer}.weight`))
      .reduce((sum, { shape }) => sum + shape[0]!, 0),
  trains: () => false,
  hooks(scope, config) {
    const names = blocks(config).map(({ name }) => name);
    const finalNorm = finalNormOf(tensorShapes(config));
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
      finalNorm: (x) => tune(finalNorm, x),
    };
  },
  merge: mergeSsf,
};

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

/** Every layer whose output is tuned; what a backbone has besides, such as norms within heads, is left as it is. */
function layersOf(config: BackboneConfig): Layer[] {
  const shapes = tensorShapes(config);
  const inBlock = ['norm1', 'attn.qkv', 'attn.proj', 'norm2', 'mlp.fc1', 'mlp.fc2'];
  const names = [
    'patch_embed.proj',
    'patch_embed.norm',
    ...[...shapes.keys()].flatMap((name) => /^(layers\.\d+\.downsample\.norm)\.weight$/.exec(name)?.[1] ?? []),
    ...blocks(config).flatMap(({ name }) => inBlock.map((layer) => `${name}.${layer}`)),
    finalNormOf(shapes),
  ];
  return names
    .filter((layer) => shapes.has(`${layer}.weight`))
    .map((layer) => ({ layer, shape: shapes.get(`${layer}.weight`)!, hasBias: shapes.has(`${layer}.bias`) }));
}

const finalNormOf = (shapes: ReadonlyMap<string, Shape>): string => (shapes.has('norm.weight') ? 'norm' : 'fc_norm');
