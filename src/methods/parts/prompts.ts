/** The learned tokens that both forms of visual prompt tuning share. */
import { z } from 'zod';
import type { BackboneConfig } from '../../backbones/backbone.js';
import { broadcastTo } from '../../graph/ops/index.js';
import type { Tensor } from '../../graph/tensor.js';
import type { Scope } from '../method.js';
import { constantInit, type HeadInitialisers, type Initialiser, kaimingNormalOut, uniform } from './initialisers.js';

export const promptsOption = z.int().min(1).max(4096).default(10).describe('prompts, the learned tokens of a block');

/** U(−v, v) with v = √(6/(C·P² + D)), P the side of a patch: the patch embedding's Xavier bound. */
const promptInit = ({ channels, patchSize }: BackboneConfig, D: number): Initialiser =>
  uniform(Math.sqrt(6 / (channels * patchSize ** 2 + D)));

/** The prompts of one block, [1, prompts, D], or [B, prompts, D] where each image loses other numbers by dropout. */
export function promptTokens(
  scope: Scope,
  name: string,
  config: BackboneConfig,
  { prompts, dropout }: { prompts: number; dropout: number },
  [B, D]: readonly [images: number, width: number],
): Tensor {
  const tokens = scope.tensor(name, [1, prompts, D], promptInit(config, D));
  if (!scope.training || dropout === 0) return tokens;
  return scope.dropout(name, broadcastTo(tokens, [B, prompts, D]), dropout);
}

/** As published for visual prompt tuning and for MoSA: every class starts at a probability of 1 %. */
export const rareClassesHead = (): HeadInitialisers => ({
  weight: kaimingNormalOut,
  bias: constantInit(-Math.log(99)),
});
