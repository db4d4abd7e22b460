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
 */
export function quantiseFrozen(outputs: readonly Tensor[], which: 'forward' | 'both'): Tensor[] {
  return rewrite(outputs, (node, inputs) => {
    const [x, weight, bias] = inputs as [Tensor, Tensor, Tensor?];
    if (isFrozenLinear(node)) {
      const { weight: quantised, scales } = quantise(weight, true);
      return [int8Product(x, quantised, scales, bias)];
    }
    if (which === 'both' && isFrozenProduct(node)) {
      const { weight: quantised, scales } = quantise(weight, false);
      return [int8Product(x, quantised, scales)];
    }
    return undefined;
  });
}

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
function quantise(weight: Tensor, turned: boolean): { weight: Tensor; scales: Tensor } {
  const [rows, columns] = weight.shape as [number, number];
  const [K, N] = turned ? [columns, rows] : [rows, columns];
  const at = turned ? { k: 1, n: columns } : { k: columns, n: 1 };
  const scalesOf = (values: Float32Array) => columnScales(values, K, N, at);
  return {
    scales: computedConstant([N], () => scalesOf(constantValues(weight))),
    weight: constant([K, N], {
      kind: 'computed',
      dtype: 'int8',
      load: () => {
        const values = constantValues(weight);
        return roundColumns(values, scalesOf(values), K, N, at);
      },
    }),
  };
}

/** Steps of the source array along the inner and the output axis. */
interface Steps {
  readonly k: number;
  readonly n: number;
}

/** The largest number of each column / 127; 1 for a column of zeros. */
function columnScales(values: Float32Array, K: number, N: number, at: Steps): Float32Array {
  const scales = new Float32Array(N);
  for (let k = 0; k < K; k++) {
    for (let n = 0; n < N; n++) {
      const size = Math.abs(values[k * at.k + n * at.n]!);
      if (size > scales[n]!) scales[n] = size;
    }
  }
  return scales.map((largest) => largest / 127 || 1);
}

function roundColumns(values: Float32Array, scales: Float32Array, K: number, N: number, at: Steps): Int8Array {
  const rounded = new Int8Array(K * N);
  for (let k = 0; k < K; k++) {
    for (let n = 0; n < N; n++) rounded[k * N + n] = Math.round(values[k * at.k + n * at.n]! / scales[n]!);
  }
  return rounded;
}
