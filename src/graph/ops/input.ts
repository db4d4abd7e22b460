import { apply1, type DType, type Op, type Shape, type Tensor } from '../tensor.js';

export interface InputAttrs {
  readonly name: string;
  readonly shape: Shape;
  readonly dtype: DType;
}

const leaf = (name: string): Op<InputAttrs> => ({
  name,
  changes: true,
  infer: (_, { shape, dtype }) => [{ shape, dtype }],
  onnx: (_builder, _inputs, attrs) => [attrs.name],
  evaluate: (_, attrs) => {
    throw new Error(`${name} '${attrs.name}' was given no value`);
  },
  cases: [],
});

/** A tensor that is fed at every run: images, labels, masks. */
export const inputOp = leaf('input');

export const input = (name: string, shape: Shape, dtype: DType = 'float32'): Tensor =>
  apply1(inputOp, [], { name, shape, dtype });
