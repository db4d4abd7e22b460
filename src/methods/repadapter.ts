import { z } from 'zod';
import { blocks } from '../backbones/architecture.js';
import { IdatError } from '../errors.js';
import { add, concat, linear, split, scale as times } from '../graph/ops/index.js';
import type { Tensor } from '../graph/tensor.js';
import type { MergeSource, Method, Scope } from './method.js';
import { product } from './parts/float64.js';
import { foldBefore, type NearIdentity, TOKEN_SITES, type TokenSite } from './parts/fold-before.js';
import { kaimingUniform, xavierUniform, zeroInit } from './parts/initialisers.js';
import { dropoutOption, hiddenOption, scaleOption } from './parts/options.js';

const options = z.object({
  hidden: hiddenOption(8),
  groups: z
    .int()
    .min(1)
    .max(65_536)
    .default(2)
    .describe('groups the hidden numbers are split into; divides hidden and width'),
  scale: scaleOption(1).describe('factor on what is added; the paper tunes it for each task among 0.1, 0.5, 1, 5, 10'),
  targets: z
    .enum(['both', 'attention'])
    .default('both')
    .describe('where tokens are adapted: before attention and the MLP, or before attention alone'),
  dropout: dropoutOption(0.1, 'hidden numbers'),
});
type Options = z.infer<typeof options>;

const sitesOf = ({ targets }: Options): readonly TokenSite[] => (targets === 'both' ? TOKEN_SITES : ['attention']);
const nameOf = (block: number, site: TokenSite): string => `blocks.${block}.repadapter.${site}`;

/** Linear adapters in groups before attention and the MLP: x + s·(B·(A·x + a) + b). */
export const repadapter: Method<Options> = {
  name: 'repadapter',
  title: 'Re-parameterised adapter (RepAdapter)',
  paper: 'Luo et al. 2023, arXiv:2302.08106; sites and groups as in its code (luogen1996/RepAdapter)',
  equation: 'x ← x + s·(B·dropout(A·x + a) + b), x = LN1(…) or LN2(…), B in g groups',
  options,
  families: ['vit', 'swin'],
  identityAtStart: () => true,
  count: (_config, options, region) =>
    region.blocks.reduce((total, { width: D }) => {
      const { hidden: h, groups: g } = options;
      return total + sitesOf(options).length * (D * h + h + (D * h) / g + D);
    }, 0),
  publishedHead: (width) => ({ weight: kaimingUniform(), bias: kaimingUniform(width) }),
  trains: () => false,
  hooks(scope, _config, options) {
    const at = (site: TokenSite) => (block: number, x: Tensor) => adapt(scope, nameOf(block, site), x, options);
    return { norm1: at('attention'), ...(options.targets === 'both' && { norm2: at('mlp') }) };
  },
  merge: (config, options, source) =>
    foldBefore(config, sitesOf(options), source, (block, site) =>
      mapOf(nameOf(block, site), blocks(config)[block]!.width, options, source),
    ),
};

/** x [B, T, D] -> [B, T, D] */
function adapt(scope: Scope, name: string, x: Tensor, { hidden, groups, scale, dropout }: Options): Tensor {
  const D = x.shape.at(-1)!;
  if (hidden % groups !== 0 || D % groups !== 0) {
    const what = `hidden ${hidden} and width ${D} are split into ${groups} groups, which must divide both`;
    throw new IdatError('method.options', `repadapter: ${what}; choose other groups`);
  }
  const down = scope.tensor(`${name}.down.weight`, [hidden, D], xavierUniform);
  const squeezed = linear(x, down, scope.tensor(`${name}.down.bias`, [hidden], zeroInit)); // [B, T, h]
  const code = scope.dropout(name, squeezed, dropout);
  const up = scope.tensor(`${name}.up.weight`, [D, hidden / groups], zeroInit);
  const bias = scope.tensor(`${name}.up.bias`, [D], zeroInit);
  const even = (t: Tensor, axis: number) => split(t, axis, new Array(groups).fill(t.shape[axis]! / groups));
  const [codes, rows] = [even(code, x.shape.length - 1), even(up, 0)];
  const grouped = concat(
    codes.map((part, group) => linear(part, rows[group]!)),
    x.shape.length - 1,
  );
  return add(x, times(add(grouped, bias), scale));
}

/** The same map with B as one matrix, zero between groups. */
function mapOf(name: string, D: number, { hidden, groups, scale }: Options, { tuned }: MergeSource): NearIdentity {
  const [weight, bias] = [tuned(`${name}.up.weight`), tuned(`${name}.up.bias`)];
  const own = hidden / groups;
  const up = new Float64Array(D * hidden);
  for (let row = 0; row < D; row++) {
    const first = Math.floor((row * groups) / D) * own;
    for (let i = 0; i < own; i++) up[row * hidden + first + i] = scale * weight[row * own + i]!;
  }
  const shift = product(up, tuned(`${name}.down.bias`), D, hidden, 1).map((value, i) => value + scale * bias[i]!);
  return { rank: hidden, up, down: tuned(`${name}.down.weight`), shift };
}
