import { apply1, type Op, shapeError, type Tensor } from '../tensor.js';

/** Whole numbers of 8 bits as float32: masks and choices are fed in a quarter of the bytes. */
export const toFloatOp: Op<null> = {
  name: 'toFloat',
  infer([x]) {
    if (x!.dtype !== 'uint8') throw shapeError('toFloat', `reads uint8, got ${x!.dtype}`);
    return [{ shape: x!.shape, dtype: 'float32' }];
  },
  onnx: (builder, inputs) => builder.node('Cast', inputs, { to: 1 }), // FLOAT in ONNX's TensorProto.DataType
  evaluate: ([x]) => [x!],
  rows: (axis) => ({ inputs: [axis], attrs: () => null }),
  differentiable: false,
  cases: [],
};

export const toFloat = (x: Tensor): Tensor => apply1(toFloatOp, [x], null);
