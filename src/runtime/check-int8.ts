/** How large 8-bit weights may be on this machine, for their products to be exact. */
import { IdatError } from '../errors.js';
import { emit } from '../graph/emit.js';
import { constant, input, int8Product } from '../graph/ops/index.js';
import { INT8_LARGEST, INT8_LARGEST_ANYWHERE, type Int8Largest } from '../graph/passes/quantise-frozen.js';
import type { Runtime } from './runtime.js';

/** Enough terms for every kernel to add pairs of them. */
const TERMS = 64;

/**
 * Multiplies the largest numbers there are. Processors without 8-bit dot products (x86 before AVX-512 VNNI or AVX-VNNI)
 * add two such products in 16 bits, where 2·255·127 does not fit and is cut off without a word, and 2·255·63 does.
 *
 * @throws IdatError `runtime.int8` where not even those are multiplied without error
 */
export async function largestInt8(runtime: Runtime): Promise<Int8Largest> {
  const ranges = [INT8_LARGEST, INT8_LARGEST_ANYWHERE] as const;
  const x = input('x', [1, TERMS]);
  const products = ranges.map((largest) => {
    const weight = constant([TERMS, 1], { kind: 'memory', values: new Int8Array(TERMS).fill(largest) });
    return [`y${largest}`, int8Product(x, weight, constant([1], Float32Array.of(1)))] as const;
  });
  const session = await runtime.load((sink) => emit(Object.fromEntries(products), sink));
  const found = await session.run({ x: new Float32Array(TERMS).fill(255) });
  await session.close();
  const right = ranges.find((largest) => Math.abs(found[`y${largest}`]![0]! / (TERMS * largest * 255) - 1) < 1e-6);
  if (right !== undefined) return right;
  const expected = TERMS * INT8_LARGEST_ANYWHERE * 255;
  const what = `8-bit products are wrong here (${found[`y${INT8_LARGEST_ANYWHERE}`]![0]} where ${expected} is right)`;
  throw new IdatError('runtime.int8', `${what}; frozen weights in float32 are exact`);
}
