/**
 * Token dropping: a random part of the patches left out of each training image, which costs that much less.
 *
 * @see Hou et al. 2022, arXiv:2203.13240; Li et al. 2023, arXiv:2212.00794 (half of the patches, then some epochs with all)
 */
import { randomStream } from '../random.js';

/** Patches kept of `patches`; at least one. */
export const keptPatchCount = (patches: number, share: number): number =>
  Math.max(1, Math.round(patches * (1 - share)));

/**
 * Which patches each image keeps: rows of increasing numbers from 0 to below `patches`.
 *
 * @param indices of the images; what an image keeps follows from its index and `when` alone
 * @returns [indices.length, kept]
 */
export function keptPatches(
  indices: readonly number[],
  patches: number,
  kept: number,
  seed: number,
  ...when: (string | number)[]
): BigInt64Array {
  const rows = new BigInt64Array(indices.length * kept);
  const order = new Uint32Array(patches);
  indices.forEach((index, row) => {
    const random = randomStream(seed, 'drop-tokens', ...when, index);
    for (let i = 0; i < patches; i++) order[i] = i;
    for (let i = 0; i < kept; i++) {
      const j = i + random.below(patches - i);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    order
      .subarray(0, kept)
      .sort()
      .forEach((patch, i) => {
        rows[row * kept + i] = BigInt(patch);
      });
  });
  return rows;
}
