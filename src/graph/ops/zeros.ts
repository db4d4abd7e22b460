import { ndarray } from '../ndarray.js';
import { apply1, type Op, type Shape, type Tensor } from '../tensor.js';

/** A tensor of zeros that takes no room in the model file. */
export const zerosOp: Op<{ readonly shape: Shape }> = {
  name: 'zeros',
  infer: (_, { shape }) => [{ shape, dtype: 'float32' }],
  onnx: (builder, _inputs, { shape }) => builder.node('Expand', [builder.scalar(0), builder.ints(shape)]),
  evaluate: (_, { shape }) => [ndarray(shape)],
  differentiable: false,
  cases: [{ inputs: [], attrs: { shape: [2, 3] } }],
};

export const zeros = (shape: Shape): Tensor => apply1(zerosOp, [], { shape });
