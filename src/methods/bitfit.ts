import { z } from 'zod';
import { blocks } from '../backbones/architecture.js';
import type { BackboneConfig } from '../backbones/backbone.js';
import type { Method } from './method.js';
import { mergedWidths, relativePositionCount } from './parts/swin-counts.js';

/** Bias tuning: of the backbone's own tensors the biases train, those of norms among them. Nothing is added. */
export const bitfit: Method = {
  name: 'bitfit',
  title: 'Bias tuning (BitFit)',
  paper: 'Ben Zaken et al. 2022, arXiv:2106.10199, as the transfer mode "bias" of VPT’s code (KMnP/vpt)',
  equation: 'y = f(x), of whose tensors those with "bias" in their name are trained',
  options: z.object({}),
  families: ['vit', 'swin'],
  identityAtStart: () => true,
  count: countBiases,
  trains: (name) => name.includes('bias'),
  hooks: () => ({}),
  merge: () => new Map(), // what it trains is the backbone's own already
};

/**
 * A block has 7D + M: two norms, queries, keys and values, projection, fc1 of width M, fc2. Around the blocks there are
 * the patches and the last norm, in a Swin also the norm of the patches, the norms of merged tokens and the tables.
 */
function countBiases(config: BackboneConfig): number {
  const all = blocks(config);
  const inBlocks = all.map(({ width: D, mlpWidth: M }) => (config.qkvBias ? 7 : 4) * D + M);
  const around = [all[0]!.width, all.at(-1)!.width];
  if (config.family === 'swin') {
    around.push(config.embedWidth, relativePositionCount(config), ...mergedWidths(config).map((D) => 4 * D));
  }
  return [...inBlocks, ...around].reduce((a, b) => a + b, 0);
}
