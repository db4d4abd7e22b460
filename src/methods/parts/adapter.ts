/** The bottleneck that the adapter methods share: A(x) = W2·GELU(W1·x + b1) + b2. */
import type { Region } from '../../backbones/region.js';
import { gelu, linear, relu } from '../../graph/ops/index.js';
import type { Tensor } from '../../graph/tensor.js';
import type { Scope } from '../method.js';
import { type Initialiser, kaimingUniform, truncatedNormal, zeroInit } from './initialisers.js';

/** How the two matrices start, and what stands between them. */
export interface AdapterKind {
  readonly down: Initialiser;
  readonly up: Initialiser;
  readonly activation: (x: Tensor) => Tensor;
  /** Rate of the dropout behind the activation. */
  readonly dropout: number;
}

/**
 * Both matrices start at N(0, 0.02²), biases at 0: in the authors' code the backbone's own initialiser sweeps over the
 * adapters after they are made, so the usual zero start of W2 is not what the paper's numbers come from.
 */
export const IDAT_ADAPTER: AdapterKind = {
  down: truncatedNormal(0.02),
  up: truncatedNormal(0.02),
  activation: gelu,
  dropout: 0,
};

/** As in AdaptFormer's own code: what it adds is 0 at the start. */
export const ADAPTFORMER_ADAPTER: AdapterKind = {
  down: kaimingUniform(),
  up: zeroInit,
  activation: relu,
  dropout: 0.1,
};

/** x [..., D] -> [..., D] through `hidden` numbers a token. */
export function adapter(scope: Scope, name: string, x: Tensor, hidden: number, kind = IDAT_ADAPTER): Tensor {
  const D = x.shape.at(-1)!;
  const dense = (layer: string, from: number, to: number, start: Initialiser, input: Tensor) =>
    linear(
      input,
      scope.tensor(`${name}.${layer}.weight`, [to, from], start),
      scope.tensor(`${name}.${layer}.bias`, [to], zeroInit),
    );
  const squeezed = kind.activation(dense('linear1', D, hidden, kind.down, x));
  return dense('linear2', hidden, D, kind.up, scope.dropout(name, squeezed, kind.dropout));
}

/** Numbers of one adapter in each block of a region: Σ 2Dh + h + D. */
export const adapterCount = (region: Region, hidden: number): number =>
  region.blocks.reduce((sum, { width: D }) => sum + 2 * D * hidden + hidden + D, 0);
