import { z } from 'zod';
import type { Method } from './method.js';
import { countOf } from './parts/own-tensors.js';

/** Tables of relative positions among them. */
const isBias = (name: string): boolean => name.includes('bias');

/** Bias tuning: of the backbone's own tensors the biases train, those of norms among them. Nothing is added. */
export const bitfit: Method = {
  name: 'bitfit',
  title: 'Bias tuning (BitFit)',
  paper: 'Ben Zaken et al. 2022, arXiv:2106.10199, as the transfer mode "bias" of VPT’s code (KMnP/vpt)',
  equation: 'y = f(x), of whose tensors those with "bias" in their name are trained',
  options: z.object({}),
  families: ['vit', 'swin'],
  identityAtStart: () => true,
  count: (config, _options, region) => countOf(config, (name) => isBias(name) && region.has(name)),
  trains: isBias,
  hooks: () => ({}),
  merge: () => new Map(), // what it trains is the backbone's own already
};
