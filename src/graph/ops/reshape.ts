import { apply1, formatShape, type Op, type Shape, sameShape, shapeError, size, type Tensor } from '../tensor.js';

/** The same numbers under another shape. */
export const reshapeOp: Op<{ readonly shape: Shape }> = {
  name: 'reshape',
  infer([x], { shape }) {
    if (size(x!.shape) !== size(shape)) {
      throw shapeError('reshape', `${formatShape(x!.shape)} has another number of elements than ${formatShape(shape)}`);
    }
    return [{ shape, dtype: x!.dtype }];
  },
  onnx: (builder, [x], { shape }) => builder.node('Reshape', [x!, builder.ints(shape)]),
  evaluate: ([x], { shape }) => [{ shape, data: x!.data }],
  dataMovement: true,
  rows(axis, { inputs: [x] }, { shape }) {
    // an axis survives a reshape when as many elements lie before and behind it as did
    const before = size(shape.slice(0, axis));
    const own = x!.shape.findIndex((n, i) => n === shape[axis] && size(x!.shape.slice(0, i)) === before);
    if (own < 0) return undefined;
    return { inputs: [own], attrs: (length) => ({ shape: shape.map((n, i) => (i === axis ? length : n)) }) };
  },
  vjp: ([dy], { inputs: [x] }) => [reshape(dy!, x!.shape)],
  cases: [
    { inputs: [[2, 3, 4]], attrs: { shape: [6, 4] } },
    { inputs: [[1, 5]], attrs: { shape: [5] } },
    { inputs: [[1]], attrs: { shape: [] } },
  ],
};

export const reshape = (x: Tensor, shape: Shape): Tensor =>
  sameShape(x.shape, shape) ? x : apply1(reshapeOp, [x], { shape });
