import { z } from 'zod';
import { add, scale as times } from '../graph/ops/index.js';
import type { Tensor } from '../graph/tensor.js';
import type { Method } from './method.js';
import { adapter, adapterCount } from './parts/adapter.js';
import { hiddenOption, scaleOption } from './parts/options.js';

const options = z.object({ hidden: hiddenOption(4), scale: scaleOption(0.1) });

/** Equation 3: one adapter a block, used twice, beside attention, u += s·A(x), and beside the MLP, y += s·A(u). */
export const parallelShared: Method<z.infer<typeof options>> = {
  name: 'parallel-shared',
  title: 'Parallel shared adapter (iDAT-PS)',
  paper: 'GIST, Ruan et al. 2023, arXiv:2312.07255, the adapter alone, as in iDAT (arXiv:2403.15750, Eq. 3)',
  equation: 'u = x + MHA(LN1 x) + s·A(x), y = u + MLP(LN2 u) + s·A(u), one A for both',
  options,
  families: ['vit', 'swin'],
  identityAtStart: () => false,
  count: (_config, { hidden }, region) => adapterCount(region, hidden),
  trains: () => false,
  hooks(scope, _config, { hidden, scale }) {
    const beside = (block: number, from: Tensor, sum: Tensor) =>
      add(sum, times(adapter(scope, `blocks.${block}.adapter`, from, hidden), scale));
    return { residual1: beside, residual2: beside };
  },
};
