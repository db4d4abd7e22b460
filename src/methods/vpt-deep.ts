import { z } from 'zod';
import { broadcastTo, concat } from '../graph/ops/index.js';
import type { Tensor } from '../graph/tensor.js';
import type { Method } from './method.js';
import { dropoutOption } from './parts/options.js';
import { promptsOption, promptTokens, rareClassesHead } from './parts/prompts.js';

const options = z.object({ prompts: promptsOption, dropout: dropoutOption(0.1, 'numbers of the prompts') });

/**
 * Visual prompt tuning, deep: each block has prompts of its own among its tokens, and what the block makes of them is
 * thrown away before the next.
 *
 * So all that a prompt ever does is to be looked at. It is therefore traced as what attention sees of it, its key and its
 * value, and none of the rest of the block is computed for it: the same numbers for the other tokens, at hardly more than
 * the cost of the block without prompts (test/tokens.test.ts holds both forms against each other).
 */
export const vptDeep: Method<z.infer<typeof options>> = {
  name: 'vpt-deep',
  title: 'Visual prompt tuning, deep (VPT-Deep)',
  paper: 'Jia et al. 2022, arXiv:2203.12119, Eq. 5',
  equation: 'the tokens that enter block i are [CLS; Pᵢ; patches], with a fresh Pᵢ in place of what came out of Pᵢ₋₁',
  options,
  families: ['vit'],
  identityAtStart: () => false,
  count: (_config, { prompts }, region) => region.blocks.reduce((sum, { width }) => sum + prompts * width, 0),
  publishedHead: rareClassesHead,
  trains: () => false,
  hooks: (scope, config, chosen) => ({
    keysValues(block, own, of) {
      const [B, H, , d] = own.keys.shape as [number, number, number, number];
      const added = of(promptTokens(scope, `blocks.${block}.prompts`, config, chosen, [B, H * d]));
      return { keys: lengthened(own.keys, added.keys), values: lengthened(own.values, added.values) };
    },
  }),
};

/** Puts keys or values in front of each image's own: own [B, H, T, d], added [B or 1, H, n, d] -> [B, H, n + T, d] */
export function lengthened(own: Tensor, added: Tensor): Tensor {
  return concat([broadcastTo(added, [own.shape[0]!, ...added.shape.slice(1)]), own], 2);
}
