import { sumKeepDims } from '../ndarray.js';
import { apply1, normaliseAxis, type Op, size, type Tensor } from '../tensor.js';
import { broadcastTo } from './broadcast-to.js';
import { scale } from './mul.js';
import { reshape } from './reshape.js';

export interface ReduceAttrs {
  readonly axes: readonly number[];
  readonly keepDims: boolean;
}

/** Sum over the given axes. */
export const reduceSumOp: Op<ReduceAttrs> = {
  name: 'reduceSum',
  infer([x], { axes, keepDims }) {
    const kept = x!.shape.map((n, i) => (axes.includes(i) ? 1 : n));
    return [{ shape: keepDims ? kept : kept.filter((_, i) => !axes.includes(i)), dtype: x!.dtype }];
  },
  onnx: (builder, [x], { axes, keepDims }) =>
    builder.node('ReduceSum', [x!, builder.ints(axes)], { keepdims: Number(keepDims) }),
  evaluate: ([x], { axes }, node) => [{ shape: node.outputs[0]!.shape, data: sumKeepDims(x!, axes).data }],
  vjp([dy], { inputs: [x] }, { axes }) {
    const kept = x!.shape.map((n, i) => (axes.includes(i) ? 1 : n));
    return [broadcastTo(reshape(dy!, kept), x!.shape)];
  },
  cases: [
    { inputs: [[2, 3, 4]], attrs: { axes: [1], keepDims: false } },
    { inputs: [[2, 3, 4]], attrs: { axes: [0, 2], keepDims: true } },
    { inputs: [[3]], attrs: { axes: [0], keepDims: false } },
  ],
};

export function reduceSum(x: Tensor, axes: readonly number[], keepDims = false): Tensor {
  if (axes.length === 0) return x;
  const positive = axes.map((axis) => normaliseAxis(axis, x.shape.length, 'reduceSum'));
  return apply1(reduceSumOp, [x], { axes: positive, keepDims });
}

/** Mean over the given axes. */
export function reduceMean(x: Tensor, axes: readonly number[], keepDims = false): Tensor {
  const count = size(axes.map((axis) => x.shape.at(axis)!));
  return scale(reduceSum(x, axes, keepDims), 1 / count);
}

/** Sum of all elements, a scalar. */
export const sumAll = (x: Tensor): Tensor =>
  reduceSum(
    x,
    x.shape.map((_, i) => i),
  );
