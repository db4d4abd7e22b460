/**
 * Drop path: whole branches of a block left out at random for single images.
 *
 * @see Huang et al. 2016, arXiv:1603.09382; timm 0.6.13, `DropPath`
 */
import type { RandomStream } from '../random.js';

/** The rate of each block: linear from 0 to `rate` at the last. */
export const dropPathRates = (depth: number, rate: number): number[] =>
  Array.from({ length: depth }, (_, block) => (depth > 1 ? (rate * block) / (depth - 1) : 0));

/**
 * The multiplier of each branch of each block for each image: 0 with the block's rate, otherwise 1/(1 − rate).
 *
 * @param rate of the last block; the rates of the blocks before it rise to it linearly from 0
 * @returns [depth, 2, images]: attention and MLP branch
 */
export function dropPathMultipliers(depth: number, rate: number, images: number, random: RandomStream): Float32Array {
  const multipliers = new Float32Array(depth * 2 * images);
  dropPathRates(depth, rate).forEach((blockRate, block) => {
    const keep = 1 - blockRate;
    const start = block * 2 * images;
    for (let i = start; i < start + 2 * images; i++) multipliers[i] = random.uniform() < keep ? 1 / keep : 0;
  });
  return multipliers;
}
