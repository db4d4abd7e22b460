import { z } from 'zod';
import { add } from '../graph/ops/index.js';
import type { Method } from './method.js';
import { adapter, adapterCount } from './parts/adapter.js';
import { hiddenOption } from './parts/options.js';

const options = z.object({ hidden: hiddenOption(4) });

/**
 * Equation 1: one adapter at the end of each block, y′ = y + A(y). No scale.
 *
 * The paper places it after the MLP; in the authors' code that is after the block's second sum, outside drop path.
 */
export const sequential: Method<z.infer<typeof options>> = {
  name: 'sequential',
  title: 'Sequential adapter (iDAT-S)',
  paper: 'Houlsby et al. 2019, arXiv:1902.00751, placed as in iDAT (arXiv:2403.15750, Eq. 1)',
  equation: 'y′ = y + A(y), A(y) = W2·GELU(W1·y + b1) + b2',
  options,
  families: ['vit', 'swin'],
  identityAtStart: () => false,
  count: (_config, { hidden }, region) => adapterCount(region, hidden),
  trains: () => false,
  hooks: (scope, _config, { hidden }) => ({
    residual2: (block, _middle, y) => add(y, adapter(scope, `blocks.${block}.adapter`, y, hidden)),
  }),
};
