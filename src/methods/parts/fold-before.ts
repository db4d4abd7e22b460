/**
 * Folding what a method does to a token into the product behind it.
 *
 * R(x) = x + U·(V·x) + m stands before y = W·x + b. Then y = (W + W·U·V)·x + (b + W·m).
 */
import { blocks } from '../../backbones/architecture.js';
import type { BackboneConfig } from '../../backbones/backbone.js';
import type { MergedTensors, MergeSource } from '../method.js';
import { product, sum } from './float64.js';

/** An affine map of tokens [D] that differs from the identity by a product of low rank h. */
export interface NearIdentity {
  readonly rank: number;
  /** U [D, h] */
  readonly up: ArrayLike<number>;
  /** V [h, D] */
  readonly down: ArrayLike<number>;
  /** m [D] */
  readonly shift: ArrayLike<number>;
}

/** Where a token is read: before attention, behind LN1, or before the MLP, behind LN2. */
export const TOKEN_SITES = ['attention', 'mlp'] as const;
export type TokenSite = (typeof TOKEN_SITES)[number];

/** Folds the maps of all blocks into the products that read them, qkv and fc1. */
export function foldBefore(
  config: BackboneConfig,
  sites: readonly TokenSite[],
  { frozen }: MergeSource,
  mapAt: (block: number, site: TokenSite) => NearIdentity,
): MergedTensors {
  const merged = new Map<string, () => Float32Array>();
  blocks(config).forEach(({ name, width: D, mlpWidth }, block) => {
    for (const site of sites) {
      const [layer, rows] = site === 'attention' ? [`${name}.attn.qkv`, 3 * D] : [`${name}.mlp.fc1`, mlpWidth];
      const hasBias = site === 'mlp' || config.qkvBias;
      const weight = () => frozen(`${layer}.weight`, [rows, D]);
      merged.set(`${layer}.weight`, () => {
        const { rank, up, down } = mapAt(block, site);
        const W = weight();
        return sum(W, product(product(W, up, rows, D, rank), down, rows, rank, D));
      });
      merged.set(`${layer}.bias`, () => {
        const bias = hasBias ? frozen(`${layer}.bias`, [rows]) : new Float32Array(rows);
        return sum(bias, product(weight(), mapAt(block, site).shift, rows, D, 1));
      });
    }
  });
  return merged;
}
