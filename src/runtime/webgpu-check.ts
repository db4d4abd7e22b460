/** A program that WebGPU has been seen to compute wrongly without a word, and what is right. */
import { emit, type Program } from '../graph/emit.js';
import { concat, flip, input, split } from '../graph/ops/index.js';

/** Pieces of a vector, more than a kernel has buffers for. */
const PIECES = 12;
const LENGTH = 2 * PIECES;

/** Takes a vector apart, turns the order of its pieces around, and that vector as a whole. Input `x` [24], outputs `turned` and `flipped`. */
export function moves(): Program {
  const pieces = split(input('x', [LENGTH]), 0, new Array<number>(PIECES).fill(2));
  const turned = concat([...pieces].reverse(), 0);
  const sink = { path: '', append: () => 0, forms: 'webgpu' } as const; // nothing in it is large enough to be appended
  return emit({ turned, flipped: flip(turned, [0]) }, sink);
}

/** Its input. */
export const moved = (): Float32Array => Float32Array.from({ length: LENGTH }, (_, i) => i + 1);

/**
 * The older WebGPU kernels of ONNX Runtime for the Web (its JSEP build) leave out what exceeds their buffers.
 * @returns what is wrong with the outputs, in words that follow on a device's name; null where nothing is
 */
export function wrongMoves({ turned, flipped }: Readonly<Record<string, Float32Array>>): string | null {
  const right = moved().map((_, i, all) => all[LENGTH - 2 - 2 * Math.floor(i / 2) + (i % 2)]!);
  const equal = (found: Float32Array, expected: Float32Array) => found.every((value, i) => value === expected[i]);
  if (equal(turned!, right) && equal(flipped!, right.slice().reverse())) return null;
  return 'it moves numbers to wrong places, as some builds of ONNX Runtime do there without an error';
}
