import { broadcastStrides, dot, forEachIndex, ndarray } from '../ndarray.js';
import {
  apply1,
  broadcastShapes,
  formatShape,
  type Op,
  type Shape,
  sameShape,
  shapeError,
  type Tensor,
} from '../tensor.js';

/** Repeats a tensor along axes of length 1 (and new leading axes) until it has the given shape. */
export const broadcastToOp: Op<{ readonly shape: Shape }> = {
  name: 'broadcastTo',
  infer([x], { shape }) {
    if (!sameShape(broadcastShapes(x!.shape, shape, 'broadcastTo'), shape)) {
      throw shapeError('broadcastTo', `${formatShape(x!.shape)} does not broadcast to ${formatShape(shape)}`);
    }
    return [{ shape, dtype: x!.dtype }];
  },
  onnx: (builder, [x], { shape }) => builder.node('Expand', [x!, builder.ints(shape)]),
  evaluate([x], { shape }) {
    const from = broadcastStrides(x!.shape, shape);
    const y = ndarray(shape);
    forEachIndex(shape, (index, flat) => {
      y.data[flat] = x!.data[dot(index, from)]!;
    });
    return [y];
  },
  // the walker sums the gradient back to the input's shape
  vjp: ([dy]) => [dy!],
  cases: [
    { inputs: [[3, 1]], attrs: { shape: [2, 3, 4] } },
    { inputs: [[]], attrs: { shape: [2, 2] } },
  ],
};

export const broadcastTo = (x: Tensor, shape: Shape): Tensor =>
  sameShape(x.shape, shape) ? x : apply1(broadcastToOp, [x], { shape });
