/**
 * Whether differences could be chance: if two ways of training were alike, each difference could as well have had the
 * other sign.
 *
 * @see Fisher 1935, The Design of Experiments, section 21; Phipson and Smyth 2010 for the p of a sample of permutations
 */
import { randomStream } from '../random.js';

/** All 2ⁿ assignments of signs are tried up to this number, a sample of them beyond. */
export const ALL_SIGNS_UP_TO = 16;

export interface SignFlipTest {
  /** Two-sided: the share of assignments of signs whose mean is as far from 0 as the one measured. */
  readonly p: number;
  /** Whether all assignments were tried. */
  readonly exact: boolean;
  /** How many were tried. */
  readonly assignments: number;
}

export interface SignFlipOptions {
  /** Assignments drawn where there are too many to try all; default 100,000. */
  readonly samples?: number;
  /** Default 0. */
  readonly seed?: number;
}

/**
 * The sign-flip permutation test of a mean of 0. With n differences no p lies below 2/2ⁿ: five cannot give p < 0.05.
 * @param differences at least one
 */
export function signFlipTest(
  differences: readonly number[],
  { samples = 100_000, seed = 0 }: SignFlipOptions = {},
): SignFlipTest {
  const sizes = differences.map(Math.abs);
  // sums of the same numbers in another order differ in their last bits
  const reached = Math.abs(differences.reduce((a, b) => a + b, 0)) - 1e-9 * sizes.reduce((a, b) => a + b, 0);
  const n = differences.length;
  if (n <= ALL_SIGNS_UP_TO) {
    const assignments = 2 ** n;
    let extreme = 0;
    for (let signs = 0; signs < assignments; signs++) {
      const sum = sizes.reduce((total, size, i) => total + ((signs >> i) & 1 ? size : -size), 0);
      if (Math.abs(sum) >= reached) extreme++;
    }
    return { p: extreme / assignments, exact: true, assignments };
  }
  const random = randomStream(seed, 'sign-flip', n);
  let extreme = 0;
  for (let s = 0; s < samples; s++) {
    const sum = sizes.reduce((total, size) => total + (random.uniform() < 0.5 ? size : -size), 0);
    if (Math.abs(sum) >= reached) extreme++;
  }
  // what was measured is one of the assignments
  return { p: (1 + extreme) / (1 + samples), exact: false, assignments: samples };
}
