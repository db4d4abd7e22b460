import { z } from 'zod';
import type { Method } from './method.js';
import { countOf } from './parts/own-tensors.js';

/** Full fine-tuning: every tensor of the backbone trains. */
export const full: Method = {
  name: 'full',
  title: 'Full fine-tuning',
  paper: 'the baseline "FPT" of iDAT (arXiv:2403.15750), Table 3',
  equation: 'logits = W·f(x) + b, f trained as well',
  options: z.object({}),
  families: ['vit', 'swin'],
  identityAtStart: () => true,
  count: (config, _options, region) => countOf(config, (name) => region.has(name)),
  trains: () => true,
  hooks: () => ({}),
  merge: () => new Map(), // what it trains is the backbone's own already
};
