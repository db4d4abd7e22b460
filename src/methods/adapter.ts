/** The bottleneck that the adapter methods share: A(x) = W2·GELU(W1·x + b1) + b2. */
import { z } from 'zod';
import { blocks } from '../backbones/architecture.js';
import type { BackboneConfig } from '../backbones/backbone.js';
import { gelu, linear } from '../graph/ops/index.js';
import type { Tensor } from '../graph/tensor.js';
import { truncatedNormal, zeroInit } from './initialisers.js';
import type { Scope } from './method.js';

export const hiddenOption = z.int().min(1).max(65_536).default(4).describe('hidden dimension of each adapter');
export const scaleOption = z.number().default(0.1).describe('factor on the adapter’s output');

/**
 * x [..., D] -> [..., D] through `hidden` numbers a token.
 *
 * Both matrices start at N(0, 0.02²), biases at 0: in the authors' code the backbone's own initialiser sweeps over the
 * adapters after they are made, so the usual zero start of W2 is not what the paper's numbers come from.
 */
export function adapter(scope: Scope, name: string, x: Tensor, hidden: number): Tensor {
  const D = x.shape.at(-1)!;
  const dense = (layer: string, from: number, to: number, input: Tensor) =>
    linear(
      input,
      scope.tensor(`${name}.${layer}.weight`, [to, from], truncatedNormal(0.02)),
      scope.tensor(`${name}.${layer}.bias`, [to], zeroInit),
    );
  return dense('linear2', hidden, D, gelu(dense('linear1', D, hidden, x)));
}

/** Numbers of one adapter in every block: Σ 2Dh + h + D. */
export const adapterCount = (config: BackboneConfig, hidden: number): number =>
  blocks(config).reduce((sum, { width: D }) => sum + 2 * D * hidden + hidden + D, 0);
