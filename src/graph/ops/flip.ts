import { dot, forEachIndex, ndarray } from '../ndarray.js';
import { apply1, normaliseAxis, type Op, strides, type Tensor } from '../tensor.js';

/** Reverses the order along some axes: along each, entry i becomes entry n − 1 − i. */
export const flipOp: Op<{ readonly axes: readonly number[] }> = {
  name: 'flip',
  infer([x], { axes }) {
    for (const axis of axes) normaliseAxis(axis, x!.shape.length, 'flip');
    return [x!];
  },
  onnx(builder, [x], { axes }, node) {
    const before = axes.map((axis) => -node.inputs[0]!.shape[axis]! - 1); // one before the first entry
    const [ends, last] = [builder.ints(before), builder.ints(axes.map(() => -1))];
    return builder.node('Slice', [x!, last, ends, builder.ints(axes), last]);
  },
  evaluate([x], { axes }) {
    const step = strides(x!.shape).map((s, axis) => (axes.includes(axis) ? -s : s));
    const start = axes.reduce((sum, axis) => sum - (x!.shape[axis]! - 1) * step[axis]!, 0);
    const y = ndarray(x!.shape);
    forEachIndex(y.shape, (index, flat) => {
      y.data[flat] = x!.data[start + dot(index, step)]!;
    });
    return [y];
  },
  dataMovement: true,
  rows: (axis, _node, attrs) => (attrs.axes.includes(axis) ? undefined : { inputs: [axis], attrs: () => attrs }),
  vjp: ([dy], _node, { axes }) => [flip(dy!, axes)],
  cases: [
    { inputs: [[3]], attrs: { axes: [0] } },
    { inputs: [[2, 3, 4]], attrs: { axes: [1, 2] } },
    { inputs: [[2, 3, 2]], attrs: { axes: [0] } },
  ],
};

export function flip(x: Tensor, axes: readonly number[]): Tensor {
  return apply1(flipOp, [x], { axes: axes.map((axis) => normaliseAxis(axis, x.shape.length, 'flip')) });
}
