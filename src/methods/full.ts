import { z } from 'zod';
import { blocks } from '../backbones/architecture.js';
import type { BackboneConfig, SwinConfig } from '../backbones/backbone.js';
import type { Method } from './method.js';
import { mergedWidths, relativePositionCount } from './parts/swin-counts.js';

/** Full fine-tuning: every tensor of the backbone trains. */
export const full: Method = {
  name: 'full',
  title: 'Full fine-tuning',
  paper: 'the baseline "FPT" of iDAT (arXiv:2403.15750), Table 3',
  equation: 'logits = W·f(x) + b, f trained as well',
  options: z.object({}),
  families: ['vit', 'swin'],
  identityAtStart: () => true,
  count: countAll,
  trains: () => true,
  hooks: () => ({}),
  merge: () => new Map(), // what it trains is the backbone's own already
};

/** Of each block 4D² + 2DM weights of products, their biases and two norms; around the blocks what the family has. */
function countAll(config: BackboneConfig): number {
  const all = blocks(config);
  const inBlocks = all.map(({ width: D, mlpWidth: M }) => {
    const attention = 4 * D * D + (config.qkvBias ? 4 : 1) * D;
    return attention + 2 * D * M + M + D + 4 * D;
  });
  const [first, last] = [all[0]!, all.at(-1)!];
  const patches = config.channels * config.patchSize ** 2 * first.width + first.width;
  // of a ViT also the class token and a position for it and for each patch
  const own = config.family === 'vit' ? first.width + first.tokens * first.width : countOfSwin(config);
  return inBlocks.reduce((a, b) => a + b, 0) + patches + own + 2 * last.width;
}

/** The norm of the patches, tables of relative positions, and where stages are merged a norm and a product, 8D² + 8D. */
function countOfSwin(config: SwinConfig): number {
  const mergings = mergedWidths(config).map((D) => 8 * D * D + 8 * D);
  return mergings.reduce((a, b) => a + b, 0) + relativePositionCount(config) + 2 * config.embedWidth;
}
