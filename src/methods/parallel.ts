import { z } from 'zod';
import { add, scale as times } from '../graph/ops/index.js';
import { adapter, adapterCount, hiddenOption, scaleOption } from './adapter.js';
import type { Method } from './method.js';

const options = z.object({ hidden: hiddenOption, scale: scaleOption });

/** One adapter beside each MLP, reading the stream before its norm: y = u + MLP(LN2 u) + s·A(u). */
export const parallel: Method<z.infer<typeof options>> = {
  name: 'parallel',
  title: 'Parallel adapter (iDAT-P)',
  paper: 'AdaptFormer, Chen et al. 2022, arXiv:2205.13535, as in iDAT (arXiv:2403.15750, Eq. 2)',
  equation: 'y = u + MLP(LN2 u) + s·A(u), A(u) = W2·GELU(W1·u + b1) + b2',
  options,
  families: ['vit', 'swin'],
  identityAtStart: () => false,
  count: (config, { hidden }) => adapterCount(config, hidden),
  trains: () => false,
  hooks: (scope, _config, { hidden, scale }) => ({
    residual2: (block, u, y) => add(y, times(adapter(scope, `blocks.${block}.adapter`, u, hidden), scale)),
  }),
};
