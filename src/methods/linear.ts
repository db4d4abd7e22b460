import { z } from 'zod';
import type { Method } from './method.js';

/** Linear probing: the backbone as it is, a new head on top. */
export const linearProbe: Method = {
  name: 'linear',
  title: 'Linear probing',
  paper: 'the baseline "Linear" of iDAT (arXiv:2403.15750), Table 3',
  equation: 'logits = W·f(x) + b, f frozen',
  options: z.object({}),
  families: ['vit', 'swin'],
  identityAtStart: () => true,
  count: () => 0,
  inBlocks: false,
  trains: () => false,
  hooks: () => ({}),
  merge: () => new Map(), // what it trains is the backbone's own already
};
