import { z } from 'zod';
import { blocks } from '../backbones/architecture.js';
import type { BackboneConfig } from '../backbones/backbone.js';
import { add, concat, linear, scale as times, zeros } from '../graph/ops/index.js';
import type { Tensor } from '../graph/tensor.js';
import type { MergedTensors, MergeSource, Method, Scope } from './method.js';
import { product, sum } from './parts/float64.js';
import { kaimingUniform, zeroInit } from './parts/initialisers.js';
import { dropoutOption, rankOption, scaleOption } from './parts/options.js';

const options = z.object({
  rank: rankOption(8),
  targets: z
    .enum(['qv', 'qkv'])
    .default('qv')
    .describe('qv: matrices of their own for queries and values; qkv: one A for queries, keys and values'),
  scale: scaleOption(1),
  dropout: dropoutOption(0.1, 'numbers of LN1’s output, as LoRA reads it,'),
});
type Options = z.infer<typeof options>;

/** The parts of qkv that get a product of their own, with their place in units of D; `qkv` is all of it at once. */
const PARTS: Record<Options['targets'], readonly { name: string; start: number; length: number }[]> = {
  qv: [
    { name: 'query', start: 0, length: 1 },
    { name: 'value', start: 2, length: 1 },
  ],
  qkv: [{ name: 'qkv', start: 0, length: 3 }],
};

/** Low-rank updates of attention's frozen products: [q, k, v] = W·x + b + s·B·A·x, x = LN1's output. */
export const lora: Method<Options> = {
  name: 'lora',
  title: 'Low-rank adaptation (LoRA)',
  paper: 'Hu et al. 2022, arXiv:2106.09685, Eq. 3; targets qkv as in NOAH’s code (ZhangYuanhan-AI/NOAH)',
  equation: '[q, k, v] = Wqkv·x + b + s·B·A·dropout(x), x = LN1(…)',
  options,
  families: ['vit', 'swin'],
  identityAtStart: () => true,
  // rows of A and columns of B: two pairs for one part each, or one pair for all three, which happen to be as many
  count: (_config, { rank, targets }, region) =>
    region.blocks.reduce((total, { width: D }) => total + (targets === 'qv' ? 2 * (D + D) : D + 3 * D) * rank, 0),
  trains: () => false,
  hooks: (scope, _config, options) => ({
    qkv: (block, qkv, x) => add(qkv, times(update(scope, `blocks.${block}.lora`, x, options), options.scale)),
  }),
  merge: mergeLora,
};

/** B·A·dropout(x): x [B, T, D] -> [B, T, 3D] */
function update(scope: Scope, name: string, x: Tensor, { rank, targets, dropout }: Options): Tensor {
  const D = x.shape.at(-1)!;
  const dropped = scope.dropout(name, x, dropout);
  const parts = PARTS[targets].map(({ name: part, length }) => {
    const down = scope.tensor(`${name}.${part}.a`, [rank, D], kaimingUniform());
    const up = scope.tensor(`${name}.${part}.b`, [length * D, rank], zeroInit);
    return linear(linear(dropped, down), up);
  });
  if (targets === 'qkv') return parts[0]!;
  const [query, value] = parts as [Tensor, Tensor];
  return concat([query, zeros(query.shape), value], query.shape.length - 1);
}

/** Wqkv + s·B·A on the rows of each part. */
function mergeLora(
  config: BackboneConfig,
  { rank, targets, scale }: Options,
  { tuned, frozen }: MergeSource,
): MergedTensors {
  const layers = blocks(config).map(({ name, width: D }, block): [string, () => Float32Array] => {
    const layer = `${name}.attn.qkv.weight`;
    const merged = () => {
      const weight = frozen(layer, [3 * D, D]);
      for (const { name: part, start, length } of PARTS[targets]) {
        const [up, down] = [tuned(`blocks.${block}.lora.${part}.b`), tuned(`blocks.${block}.lora.${part}.a`)];
        const rows = weight.subarray(start * D * D, (start + length) * D * D);
        rows.set(sum(rows, product(up, down, length * D, rank, D), scale));
      }
      return weight;
    };
    return [layer, merged];
  });
  return new Map(layers);
}
