import { z } from 'zod';
import { frontTokenCount, gridOf } from '../backbones/architecture.js';
import { IdatError } from '../errors.js';
import {
  add,
  concat,
  depthwiseConv,
  gelu,
  layerNorm,
  linear,
  mul,
  reshape,
  scale,
  split,
  transpose,
  zeros,
} from '../graph/ops/index.js';
import type { Tensor } from '../graph/tensor.js';
import type { Method, Scope } from './method.js';
import { constantInit, kaimingUniform, oneInit, truncatedNormal, zeroInit } from './parts/initialisers.js';
import { dropoutOption, hiddenOption } from './parts/options.js';

const options = z.object({
  hidden: hiddenOption(64),
  dropout: dropoutOption(0.1, 'hidden numbers'),
});
type Options = z.infer<typeof options>;

/** Sides of the depth-wise windows whose outputs are averaged. */
const WINDOWS = [3, 5, 7] as const;

/**
 * Mona: adapters that look at each patch's neighbours, one after attention and one after the MLP.
 *
 * A ViT's head reads the class token alone, which has no neighbours, so the convolutions of its last block learn nothing.
 * They are there because the published count has them.
 */
export const mona: Method<Options> = {
  name: 'mona',
  title: 'Multi-cognitive visual adapter (Mona)',
  paper: 'Yin et al. 2024, arXiv:2408.08345, Eq. 4 to 9; on a ViT the class token has no neighbours',
  equation:
    'u = M₁(x + MHA(LN1 x)), y = M₂(u + MLP(LN2 u)); M(z) = z + U·GELU(C(D z̃ + b)) + c, z̃ = γ∘LN(z) + γₓ∘z; ' +
    'C(f) = g + pw(g), g = f + (dw₃(f) + dw₅(f) + dw₇(f))/3',
  options,
  families: ['vit', 'swin'],
  identityAtStart: () => false,
  count: (_config, { hidden: h }, region) =>
    region.blocks.reduce((sum, { width: d }) => sum + 2 * (4 * d + 2 * d * h + h + d + 86 * h + h * h + h), 0),
  trains: () => false,
  hooks(scope, config, chosen) {
    const others = frontTokenCount(config);
    const adapt = (name: string, z: Tensor) => {
      const grid = gridOf(config, z.shape[1]! - others);
      if (grid) return adapted(scope, name, z, grid, chosen);
      const what = `needs all patches of the grid, got ${z.shape[1]} tokens`;
      throw new IdatError('method.tokens', `mona: ${what}; leave none of them out (dropTokens 0)`);
    };
    return {
      residual1: (block, _input, sum) => adapt(`blocks.${block}.mona1`, sum),
      residual2: (block, _middle, sum) => adapt(`blocks.${block}.mona2`, sum),
    };
  },
};

/** M(z). z [B, T, D], of which the last are a grid of patches -> [B, T, D] */
function adapted(scope: Scope, name: string, z: Tensor, grid: Grid, { hidden, dropout }: Options): Tensor {
  const D = z.shape[2]!;
  const own = (part: string, init = zeroInit) => scope.tensor(`${name}.${part}`, [D], init);
  const dense = (part: string, from: number, to: number, x: Tensor) =>
    linear(
      x,
      scope.tensor(`${name}.${part}.weight`, [to, from], truncatedNormal(0.02)),
      scope.tensor(`${name}.${part}.bias`, [to], zeroInit),
    );
  const normal = layerNorm(z, own('norm.weight', oneInit), own('norm.bias'), 1e-5);
  const mixed = add(mul(normal, own('gamma', constantInit(1e-6))), mul(z, own('gammax', oneInit)));
  const seen = neighbours(scope, name, dense('linear1', D, hidden, mixed), grid);
  return add(z, dense('linear2', hidden, D, scope.dropout(name, gelu(seen), dropout)));
}

type Grid = readonly [rows: number, columns: number];

/** C on the patches; tokens before them stay as they are. x [B, T, h] -> [B, T, h] */
function neighbours(scope: Scope, name: string, x: Tensor, [rows, columns]: Grid): Tensor {
  const [B, T, h] = x.shape as [number, number, number];
  const others = T - rows * columns;
  const parts = split(x, 1, others > 0 ? [others, T - others] : [T]);
  const patches = parts.at(-1)!;
  const { kernel, bias } = averageKernel(scope, name, h);
  const map = reshape(transpose(patches, [0, 2, 1]), [B, h, rows, columns]);
  const padding = Math.floor(WINDOWS.at(-1)! / 2);
  const summed = reshape(depthwiseConv(map, kernel, [padding, padding]), [B, h, rows * columns]);
  const g = add(add(patches, transpose(summed, [0, 2, 1])), bias); // [B, patches, h]
  const pointwise = scope.tensor(`${name}.pointwise.weight`, [h, h], kaimingUniform());
  const mixed = add(g, linear(g, pointwise, scope.tensor(`${name}.pointwise.bias`, [h], kaimingUniform(h))));
  return parts.length > 1 ? concat([parts[0]!, mixed], 1) : mixed;
}

/** The average of the windows as one: smaller ones lie in the middle of the largest. kernel [h, 7, 7], bias [h] */
function averageKernel(scope: Scope, name: string, h: number): { kernel: Tensor; bias: Tensor } {
  const largest = WINDOWS.at(-1)!;
  const all = WINDOWS.map((k) => ({
    kernel: widened(scope.tensor(`${name}.conv${k}.weight`, [h, 1, k, k], kaimingUniform()), largest),
    bias: scope.tensor(`${name}.conv${k}.bias`, [h], kaimingUniform(k * k)),
  }));
  const mean = (tensors: readonly Tensor[]) => scale(tensors.reduce(add), 1 / WINDOWS.length);
  return { kernel: mean(all.map(({ kernel }) => kernel)), bias: mean(all.map(({ bias }) => bias)) };
}

/** [h, 1, k, k] -> [h, size, size] with zeros around */
function widened(kernel: Tensor, size: number): Tensor {
  const [h, , k] = kernel.shape as [number, number, number];
  const around = (size - k) / 2;
  const square = reshape(kernel, [h, k, k]);
  if (around === 0) return square;
  const [columns, rows] = [zeros([h, k, around]), zeros([h, around, size])];
  return concat([rows, concat([columns, square, columns], 2), rows], 1);
}
