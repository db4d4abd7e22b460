import { z } from 'zod';
import { featureWidth, hasClassToken } from '../backbones/architecture.js';
import { broadcastTo, concat, split } from '../graph/ops/index.js';
import type { Method } from './method.js';
import { dropoutOption } from './parts/options.js';
import { promptsOption, promptTokens, rareClassesHead } from './parts/prompts.js';

const options = z.object({ prompts: promptsOption, dropout: dropoutOption(0, 'numbers of the prompts') });

/**
 * Visual prompt tuning, shallow: learned tokens behind the class token, or in front where there is none, without positions
 * of their own, which pass through all blocks. Where blocks are chosen, they enter with the first of those and stay.
 */
export const vptShallow: Method<z.infer<typeof options>> = {
  name: 'vpt-shallow',
  title: 'Visual prompt tuning, shallow (VPT-Shallow)',
  paper: 'Jia et al. 2022, arXiv:2203.12119, Eq. 4',
  equation: 'the tokens that enter the first block are [CLS + position; P; patches + positions]',
  options,
  families: ['vit'],
  identityAtStart: () => false,
  count: (config, { prompts }) => prompts * featureWidth(config),
  addedTokens: ({ prompts }) => prompts,
  publishedHead: rareClassesHead,
  trains: () => false,
  hooks: (scope, config, chosen, region) => ({
    tokens(block, x) {
      if (block !== region.blocks[0]!.index) return x;
      const [B, T, D] = x.shape as [number, number, number];
      const prompts = promptTokens(scope, 'prompts', config, chosen, [B, D]);
      const own = broadcastTo(prompts, [B, chosen.prompts, D]);
      if (!hasClassToken(config)) return concat([own, x], 1);
      const [classToken, others] = split(x, 1, [1, T - 1]);
      return concat([classToken!, own, others!], 1);
    },
  }),
};
