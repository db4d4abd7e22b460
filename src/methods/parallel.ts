import { z } from 'zod';
import { add, scale as times } from '../graph/ops/index.js';
import type { Method } from './method.js';
import { ADAPTFORMER_ADAPTER, adapter, adapterCount, IDAT_ADAPTER } from './parts/adapter.js';
import { dropoutRate, hiddenOption, scaleOption } from './parts/options.js';

const options = z.object({
  hidden: hiddenOption(4),
  scale: scaleOption(0.1),
  init: z
    .enum(['idat', 'adaptformer'])
    .default('idat')
    .describe('idat: GELU, both matrices random; adaptformer: as there, ReLU and what is added is 0 at the start'),
  dropout: dropoutRate.describe(
    'rate at which hidden numbers are dropped in training (0.1 with init adaptformer, else 0)',
  ),
});

/** Equation 2: one adapter beside each MLP, reading the stream before its norm, y = u + MLP(LN2 u) + s·A(u). */
export const parallel: Method<z.infer<typeof options>> = {
  name: 'parallel',
  title: 'Parallel adapter (iDAT-P)',
  paper: 'AdaptFormer, Chen et al. 2022, arXiv:2205.13535, as in iDAT (arXiv:2403.15750, Eq. 2)',
  equation: 'y = u + MLP(LN2 u) + s·A(u), A(u) = W2·GELU(W1·u + b1) + b2',
  options,
  families: ['vit', 'swin'],
  identityAtStart: ({ init }) => init === 'adaptformer',
  count: (_config, { hidden }, region) => adapterCount(region, hidden),
  trains: () => false,
  hooks(scope, _config, { hidden, scale, init, dropout }) {
    const kind = init === 'adaptformer' ? ADAPTFORMER_ADAPTER : IDAT_ADAPTER;
    const own = { ...kind, ...(dropout !== undefined && { dropout }) };
    return {
      residual2: (block, u, y) => add(y, times(adapter(scope, `blocks.${block}.adapter`, u, hidden, own), scale)),
    };
  },
};
