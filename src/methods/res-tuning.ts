import { z } from 'zod';
import type { Hooks } from '../backbones/hooks.js';
import type { Region } from '../backbones/region.js';
import { add, gelu, linear, mul, reshape, transpose } from '../graph/ops/index.js';
import type { Tensor } from '../graph/tensor.js';
import type { Method, Scope } from './method.js';
import { normal, oneInit, xavierUniform, zeroInit } from './parts/initialisers.js';
import { hiddenOption } from './parts/options.js';
import { lengthened } from './vpt-deep.js';

const options = z.object({
  variant: z
    .enum(['tri-tuner', 'bypass'])
    .default('tri-tuner')
    .describe('tuners within each block, or a network beside'),
  hidden: hiddenOption(10),
  tokens: z
    .int()
    .min(1)
    .max(4096)
    .default(10)
    .describe('learned keys of each Res-Prefix and tokens of each Res-Prompt'),
  prefix: z.boolean().default(true).describe('a Res-Prefix at attention (tri-tuner)'),
  adapter: z.boolean().default(true).describe('a Res-Adapter at the MLP (tri-tuner)'),
  prompt: z.boolean().default(true).describe('a Res-Prompt at the block (tri-tuner)'),
  scales: z.boolean().default(true).describe('a factor for each channel of each tuner (tri-tuner)'),
  input: z
    .enum(['out', 'in'])
    .default('out')
    .describe('what a Res-Adapter reads: the MLP’s output or its input (tri-tuner)'),
  zeroStart: z.boolean().default(false).describe('start each Res-Adapter’s second layer at 0'),
});
type Options = z.infer<typeof options>;

/**
 * Res-Tuning: each operation of a block keeps its frozen weights and gets a tuner added to its output.
 *
 * The combination behind the published figures is not public. This one has a tuner of each kind: a Res-Prefix at
 * attention, a Res-Adapter at the MLP, a Res-Prompt at the block. Prefix and prompt are mixed into attention's output
 * with weights that make the sum equal to attention over keys and values with theirs among them, and so they are traced.
 */
export const resTuning: Method<Options> = {
  name: 'res-tuning',
  title: 'Res-Tuning',
  paper: 'Jiang et al. 2023, arXiv:2310.19859, Eq. 6 to 10; the combination of tuners is ours, the bypass theirs',
  equation:
    'OP′(x) = OP(x) + tuner; Res-Adapter: s∘(W₂·GELU(W₁ v + b₁) + b₂); Res-Prefix: learned keys and values beside ' +
    'attention’s; Res-Prompt: learned tokens beside the block’s; bypass: xₗᵇ = T(sg xₗ) + T′(xₗ₋₁ᵇ), T(v) = v + Res-Adapter(v)',
  options,
  families: ['vit'],
  identityAtStart: ({ variant, prefix, prompt, adapter, zeroStart }) =>
    variant === 'tri-tuner' && !prefix && !prompt && (!adapter || zeroStart),
  count(_config, { variant, hidden: h, tokens: n, prefix, adapter, prompt, scales }, region) {
    const scaled = Number(scales);
    const inBlock = (d: number) => {
      const resAdapter = 2 * d * h + h + d;
      if (variant === 'bypass') return 2 * resAdapter;
      const [keysAndValues, prompts] = [2 * (n * d + scaled * d), n * d + scaled * d];
      return (prefix ? keysAndValues : 0) + (adapter ? resAdapter + scaled * d : 0) + (prompt ? prompts : 0);
    };
    return region.blocks.reduce((sum, { width }) => sum + inBlock(width), 0);
  },
  trains: () => false,
  hooks: (scope, _config, chosen, region) =>
    chosen.variant === 'bypass' ? bypass(scope, region, chosen) : triTuner(scope, chosen),
};

function triTuner(scope: Scope, chosen: Options): Hooks {
  const scaled = (name: string, x: Tensor) =>
    chosen.scales ? mul(x, scope.tensor(`${name}.scale`, [x.shape.at(-1)!], oneInit)) : x;
  const tokens = (name: string, D: number) => scaled(name, scope.tensor(name, [1, chosen.tokens, D], xavierUniform));
  const norms = new Map<number, Tensor>();
  return {
    keysValues(block, own, of) {
      const [, H, , d] = own.keys.shape as [number, number, number, number];
      const learned = (part: string) => tokens(`blocks.${block}.${part}`, H * d);
      const inHeads = (x: Tensor) => transpose(reshape(x, [1, chosen.tokens, H, d]), [0, 2, 1, 3]);
      const prefix = () => ({ keys: inHeads(learned('prefix.keys')), values: inHeads(learned('prefix.values')) });
      const added = [...(chosen.prefix ? [prefix()] : []), ...(chosen.prompt ? [of(learned('prompt'))] : [])];
      return added.reduce(
        ({ keys, values }, more) => ({ keys: lengthened(keys, more.keys), values: lengthened(values, more.values) }),
        own,
      );
    },
    norm2(block, x) {
      norms.set(block, x);
      return x;
    },
    fc2(block, y) {
      if (!chosen.adapter) return y;
      const name = `blocks.${block}.adapter`;
      const v = chosen.input === 'out' ? y : norms.get(block)!;
      return add(y, scaled(name, resAdapter(scope, name, v, chosen)));
    },
  };
}

/**
 * A network of adapters beside the backbone: it reads what enters the first block and what leaves each, and alone trains.
 * Behind the last of its blocks it stands in the stream's place.
 */
function bypass(scope: Scope, { blocks }: Region, chosen: Options): Hooks {
  const [first, last] = [blocks[0]!.index, blocks.at(-1)!.index];
  const tuned = (name: string, v: Tensor) => add(v, resAdapter(scope, name, v, chosen));
  let beside: Tensor;
  return {
    tokens(block, x) {
      if (block === first) beside = x;
      return x;
    },
    residual2(block, _middle, y) {
      const name = `blocks.${block}`;
      beside = add(tuned(`${name}.lateral`, y), tuned(`${name}.vertical`, beside));
      return block === last ? beside : y;
    },
  };
}

/** W₂·GELU(W₁ v + b₁) + b₂ with biases next to 0. v [B, T, D] -> [B, T, D] */
function resAdapter(scope: Scope, name: string, v: Tensor, { hidden: h, zeroStart }: Options): Tensor {
  const D = v.shape.at(-1)!;
  const dense = (layer: string, from: number, to: number, x: Tensor, zero: boolean) =>
    linear(
      x,
      scope.tensor(`${name}.${layer}.weight`, [to, from], zero ? zeroInit : xavierUniform),
      scope.tensor(`${name}.${layer}.bias`, [to], zero ? zeroInit : normal(1e-6)),
    );
  return dense('linear2', h, D, gelu(dense('linear1', D, h, v, false)), zeroStart);
}
