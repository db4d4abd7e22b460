import { z } from 'zod';
import { blocks } from '../backbones/architecture.js';
import { add, linear, matmul, mul } from '../graph/ops/index.js';
import type { Tensor } from '../graph/tensor.js';
import type { Method, Scope } from './method.js';
import { transposed } from './parts/float64.js';
import { foldBefore, TOKEN_SITES, type TokenSite } from './parts/fold-before.js';
import { xavierUniform, zeroInit } from './parts/initialisers.js';
import { dropoutOption, rankOption } from './parts/options.js';

const options = z.object({
  rank: rankOption(50),
  targets: z
    .enum(['both', 'attention'])
    .default('both')
    .describe('where tokens are adapted: before attention and the MLP, or before attention alone'),
  dropout: dropoutOption(0.1, 'numbers of the squeezed token'),
});
type Options = z.infer<typeof options>;

const sitesOf = ({ targets }: Options): readonly TokenSite[] => (targets === 'both' ? TOKEN_SITES : ['attention']);

/** The projection D that all blocks of a stage share, and the factors and shift that are a block's own. */
const namesOf = (stage: number, block: number, site: TokenSite) => ({
  projection: `stages.${stage}.arc.${site}.projection`,
  factors: `blocks.${block}.arc.${site}.factors`,
  shift: `blocks.${block}.arc.${site}.bias`,
});

/** Adapters that differ from block to block in a diagonal only: x + D·diag(c)·Dᵀ·x + b, D shared by all blocks. */
export const arc: Method<Options> = {
  name: 'arc',
  title: 'Adaptation re-composing (ARC)',
  paper: 'Dong et al. 2023, arXiv:2310.06234; sites and starting values as in its code (DavidYanAnDe/ARC)',
  equation: 'x ← x + D·dropout(c⊙(Dᵀ·x)) + b, x = LN1(…) or LN2(…), one D a site for all blocks of a stage',
  options,
  families: ['vit', 'swin'],
  identityAtStart: ({ targets }) => targets === 'attention', // before the MLP, c does not start at 0
  // Dr for each stage's projection, r + D for each block
  count(_config, options, { blocks: all }) {
    const widths = new Map(all.map(({ stage, width }) => [stage, width]));
    const shared = [...widths.values()].map((D) => D * options.rank);
    const own = all.map(({ width: D }) => options.rank + D);
    return sitesOf(options).length * [...shared, ...own].reduce((a, b) => a + b, 0);
  },
  publishedHead: () => ({ weight: zeroInit, bias: zeroInit }),
  trains: () => false,
  hooks(scope, config, options) {
    const all = blocks(config);
    const at = (site: TokenSite) => (block: number, x: Tensor) =>
      adapt(scope, all[block]!.stage, block, site, x, options);
    return { norm1: at('attention'), ...(options.targets === 'both' && { norm2: at('mlp') }) };
  },
  merge: (config, options, source) =>
    foldBefore(config, sitesOf(options), source, (block, site) => {
      const { stage, width: D } = blocks(config)[block]!;
      const names = namesOf(stage, block, site);
      const [projection, factors] = [source.tuned(names.projection), source.tuned(names.factors)];
      const { rank } = options;
      const up = Float64Array.from(projection, (value, i) => value * factors[i % rank]!);
      return { rank, up, down: transposed(projection, D, rank), shift: source.tuned(names.shift) };
    }),
};

/** x [B, T, D] -> [B, T, D] */
function adapt(scope: Scope, stage: number, block: number, site: TokenSite, x: Tensor, { rank, dropout }: Options) {
  const D = x.shape.at(-1)!;
  const names = namesOf(stage, block, site);
  const projection = scope.tensor(names.projection, [D, rank], xavierUniform);
  const factors = scope.tensor(names.factors, [1, rank], site === 'attention' ? zeroInit : xavierUniform);
  const code = scope.dropout(names.factors, mul(matmul(x, projection), factors), dropout); // [B, T, r]
  return add(x, linear(code, projection, scope.tensor(names.shift, [D], zeroInit)));
}
