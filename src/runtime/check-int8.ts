/** Whether this machine multiplies 8-bit integers without error. */
import { IdatError } from '../errors.js';
import { emit } from '../graph/emit.js';
import { constant, input, int8Product } from '../graph/ops/index.js';
import type { Runtime } from './runtime.js';

/** Enough terms for every kernel to add pairs of them. */
const TERMS = 64;

/**
 * Multiplies the largest numbers there are. Processors without 8-bit dot products (x86 before AVX-512 VNNI or AVX-VNNI)
 * add two such products in 16 bits, where they do not fit, and cut off the rest without a word.
 *
 * @throws IdatError `runtime.int8`
 */
export async function checkInt8(runtime: Runtime): Promise<void> {
  const weight = constant([TERMS, 1], { kind: 'memory', values: new Int8Array(TERMS).fill(127) });
  const product = int8Product(input('x', [1, TERMS]), weight, constant([1], Float32Array.of(1)));
  const session = await runtime.load(() => emit({ y: product }));
  const { y } = await session.run({ x: new Float32Array(TERMS).fill(255) });
  await session.close();
  const expected = TERMS * 127 * 255;
  if (Math.abs(y![0]! / expected - 1) < 1e-6) return;
  throw new IdatError(
    'runtime.int8',
    `8-bit products overflow on this processor (${y![0]} where ${expected} is right); frozen weights in float32 are exact`,
  );
}
