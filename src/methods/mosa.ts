import { z } from 'zod';
import {
  add,
  constant,
  exp,
  gelu,
  layerNorm,
  linear,
  logSoftmax,
  matmul,
  mul,
  reduceSum,
  reshape,
  scale,
  stopGradient,
  sub,
} from '../graph/ops/index.js';
import type { Shape, Tensor } from '../graph/tensor.js';
import type { RandomStream } from '../random.js';
import type { Method, Scope } from './method.js';
import { kaimingUniform, oneInit, zeroInit } from './parts/initialisers.js';
import { dropoutOption, hiddenOption, scaleOption } from './parts/options.js';
import { rareClassesHead } from './parts/prompts.js';

const options = z.object({
  hidden: hiddenOption(16),
  experts: z.int().min(2).max(64).default(4).describe('experts that share the entries of the second matrix'),
  scale: scaleOption(0.1),
  dropout: dropoutOption(0.1, 'hidden numbers'),
});
type Options = z.infer<typeof options>;

/**
 * Mixture of sparse adapters: the second matrix of a parallel adapter is divided among experts, each of which trains
 * entries of its own, and an expert is drawn at random for each block in each of two passes over a batch.
 *
 * In evaluation the experts' mean takes their place. As no two train the same entry, it is all they have learned, divided
 * by their number.
 */
export const mosa: Method<Options> = {
  name: 'mosa',
  title: 'Mixture of sparse adapters (MoSA)',
  paper: 'Zhang et al. 2023, arXiv:2312.02923, with the defaults of the authors’ code',
  equation:
    'y = u + MLP(LN2 u) + s·(Uₑ·GELU(D·LN(u) + b) + bₑ), e drawn for each block and pass; ' +
    'loss CE(z₁) + ½·[KL(sg P₂ ‖ P₁) + KL(sg P₁ ‖ P₂)]; evaluated with the experts’ mean',
  options,
  families: ['vit', 'swin'],
  identityAtStart: () => true,
  count: (_config, { hidden: h, experts: n }, region) =>
    region.blocks.reduce((sum, { width: d }) => sum + d * h + h + n * (d * h + d) + 2 * d, 0),
  publishedHead: rareClassesHead,
  trains: () => false,
  consistency: (first, second) => scale(add(divergence(second, first), divergence(first, second)), 0.5),
  hooks: (scope, _config, chosen) => ({
    residual2: (block, middle, sum) =>
      add(sum, scale(sparse(scope, `blocks.${block}.adapter`, middle, chosen), chosen.scale)),
  }),
};

/** The adapter with the expert drawn, or with their mean. x [B, T, D] -> [B, T, D] */
function sparse(scope: Scope, name: string, x: Tensor, { hidden: h, experts: n, dropout }: Options): Tensor {
  const D = x.shape.at(-1)!;
  const own = (part: string, shape: Shape, init = zeroInit) => scope.tensor(`${name}.${part}`, shape, init);
  const normal = layerNorm(x, own('norm.weight', [D], oneInit), own('norm.bias', [D]), 1e-6);
  const hidden = gelu(linear(normal, own('linear1.weight', [h, D], kaimingUniform()), own('linear1.bias', [h])));
  const share = scope.training
    ? scope.draw(`${name}.expert`, [1, n], 'batch', drawOne)
    : constant([1, n], new Float32Array(n).fill(1 / n));
  const weights = scope.tensor(`${name}.experts.weight`, [n, D, h], zeroInit, dividedAmong);
  const weight = reshape(matmul(share, reshape(weights, [n, D * h])), [D, h]);
  const bias = reshape(matmul(share, own('experts.bias', [n, D])), [D]);
  return linear(scope.dropout(name, hidden, dropout), weight, bias);
}

/** 1 for the expert drawn, 0 for the others. */
function drawOne(values: Uint8Array, random: RandomStream): void {
  values.fill(0);
  values[random.below(values.length)] = 1;
}

/**
 * Which entries each expert trains: [n, D, h] of 1 and 0, every entry 1 for one expert. A random order of the entries
 * is cut into n runs of equal length, to within one.
 */
function dividedAmong(shape: Shape, random: RandomStream): Float32Array {
  const [n, D, h] = shape as [number, number, number];
  const mask = new Float32Array(n * D * h);
  const order = random.shuffled(Array.from({ length: D * h }, (_, i) => i));
  order.forEach((entry, rank) => {
    mask[Math.floor((rank * n) / order.length) * D * h + entry] = 1;
  });
  return mask;
}

/** KL(sg P ‖ Q) of two rows of logits: [B, K], [B, K] -> [B] */
function divergence(p: Tensor, q: Tensor): Tensor {
  const lnP = stopGradient(logSoftmax(p));
  return reduceSum(mul(exp(lnP), sub(lnP, logSoftmax(q))), [-1]);
}
