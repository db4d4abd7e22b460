import { computedConstant, constant, constantOp, constantValues } from '../ops/constant.js';
import { int8Product } from '../ops/int8-product.js';
import { linearOp } from '../ops/linear.js';
import { matmulOp } from '../ops/matmul.js';
import { rewrite } from '../rewrite.js';
import type { Node, Tensor } from '../tensor.js';

/**
 * Products with frozen weights in 8-bit integers: forward (`linear`), or forward and backward (a gradient times a frozen
 * weight, which differentiation writes as `matmul`).
 *
 * One scale for each output column of the weight; activations and gradients are rounded anew at every run. Not exact:
 * docs/performance.md tells what it costs in accuracy. Small products stay as they are, they would gain nothing.
 *
 * @param largest what the largest number of each column becomes
 */
export function quantiseFrozen(
  outputs: readonly Tensor[],
  which: 'forward' | 'both',
  largest: Int8Largest = INT8_LARGEST,
): Tensor[] {
  return rewrite(outputs, (node, inputs) => {
    const [x, weight, bias] = inputs as [Tensor, Tensor, Tensor?];
    if (isFrozenLinear(node)) {
      const { weight: quantised, scales } = quantise(weight, true, largest);
      return [int8Product(x, quantised, scales, bias)];
    }
    if (which === 'both' && isFrozenProduct(node)) {
      const { weight: quantised, scales } = quantise(weight, false, largest);
      return [int8Product(x, quantised, scales)];
    }
    return undefined;
  });
}

/** All of a signed byte. Processors without 8-bit dot products add up two such products in 16 bits, where they do not fit. */
export const INT8_LARGEST = 127;
/** The largest that never overflows there: 2·255·63 < 2¹⁵. */
export const INT8_LARGEST_ANYWHERE = 63;
export type Int8Largest = typeof INT8_LARGEST | typeof INT8_LARGEST_ANYWHERE;

/** Both sides of a weight must have this many numbers. */
const SMALLEST_SIDE = 32;

const frozen = (t: Tensor | undefined): boolean => t?.node.op === constantOp;

const isLarge = (weight: Tensor) => weight.shape.length === 2 && weight.shape.every((n) => n >= SMALLEST_SIDE);

function isFrozenLinear({ op, inputs: [, ...rest] }: Node): boolean {
  return op === linearOp && rest.every(frozen) && isLarge(rest[0]!);
}

function isFrozenProduct({ op, inputs: [x, weight], attrs }: Node): boolean {
  if (op !== matmulOp || !frozen(weight) || frozen(x) || !isLarge(weight!)) return false;
  const { transposeA, transposeB } = attrs as { transposeA: boolean; transposeB: boolean };
  return !transposeA && !transposeB;
}

/**
 * A weight [rows, columns] as int8 with a scale for each column of what is multiplied by: its own columns, or its rows
 * when it is to be turned around first, as a linear layer does.
 */
function quantise(weight: Tensor, turned: boolean, largest: Int8Largest): { weight: Tensor; scales: Tensor } {
  const [rows, columns] = weight.shape as [number, number];
  const [K, N] = turned ? [columns, rows] : [rows, columns];
  // both are asked for once, one soon after the other: the large source is computed once and not kept
  let waiting: { scales: Float32Array; rounded: Int8Array } | null = null;
  const take = () => {
    const found = waiting ?? roundWeight(constantValues(weight), { rows, columns, turned, largest });
    waiting = waiting ? null : found;
    return found;
  };
  return {
    scales: computedConstant([N], () => take().scales),
    weight: constant([K, N], { kind: 'computed', dtype: 'int8', load: () => take().rounded }),
  };
}

interface Rounding {
  readonly rows: number;
  readonly columns: number;
  readonly turned: boolean;
  readonly largest: number;
}

/** The largest number of each column (of each row, when turned) becomes `largest`; a column of zeros keeps the scale 1. */
function roundWeight(values: Float32Array, { rows, columns, turned, largest }: Rounding) {
  const scales = turned ? largestInRows(values, rows, columns) : largestInColumns(values, columns);
  for (let n = 0; n < scales.length; n++) scales[n] = scales[n]! / largest || 1;
  const rounded = turned ? roundTurned(values, scales, rows, columns) : roundStraight(values, scales);
  return { scales, rounded };
}

function largestInRows(values: Float32Array, rows: number, columns: number): Float32Array {
  const largest = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    let top = 0;
    for (let at = row * columns; at < (row + 1) * columns; at++) top = Math.max(top, Math.abs(values[at]!));
    largest[row] = top;
  }
  return largest;
}

function largestInColumns(values: Float32Array, columns: number): Float32Array {
  const largest = new Float32Array(columns);
  for (let start = 0; start < values.length; start += columns) {
    for (let n = 0; n < columns; n++) {
      const size = Math.abs(values[start + n]!);
      if (size > largest[n]!) largest[n] = size;
    }
  }
  return largest;
}

/** To the nearest whole number, halves away from zero: storing in an Int8Array cuts off what is behind the point. */
const nearest = (value: number) => value + (value < 0 ? -0.5 : 0.5);

/** [K, N] -> [K, N] */
function roundStraight(values: Float32Array, scales: Float32Array): Int8Array {
  const N = scales.length;
  const rounded = new Int8Array(values.length);
  for (let start = 0; start < values.length; start += N) {
    for (let n = 0; n < N; n++) rounded[start + n] = nearest(values[start + n]! / scales[n]!);
  }
  return rounded;
}

/** Rows turned at a time, so that what is read and what is written stay in the processor's cache. */
const BLOCK = 32;

/** [N, K] -> [K, N] */
function roundTurned(values: Float32Array, scales: Float32Array, N: number, K: number): Int8Array {
  const rounded = new Int8Array(values.length);
  for (let start = 0; start < N; start += BLOCK) {
    const end = Math.min(start + BLOCK, N);
    for (let k = 0; k < K; k++) {
      for (let n = start; n < end; n++) rounded[k * N + n] = nearest(values[n * K + k]! / scales[n]!);
    }
  }
  return rounded;
}
