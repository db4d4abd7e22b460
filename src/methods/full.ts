import { z } from 'zod';
import type { Method } from './method.js';

/** Full fine-tuning: every tensor of the backbone trains. */
export const full: Method = {
  name: 'full',
  title: 'Full fine-tuning',
  paper: 'the baseline "FPT" of iDAT (arXiv:2403.15750), Table 3',
  options: z.object({}),
  trains: () => true,
  hooks: () => ({}),
};
