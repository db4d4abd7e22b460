import { apply1, type Op, type Shape, type Tensor } from '../tensor.js';

export interface ParameterAttrs {
  /** The tensor's name in its model, e.g. `blocks.3.adapter.linear1.weight`. */
  readonly name: string;
  readonly shape: Shape;
}

/** A trainable tensor. pack.ts turns all of a model's into slices of one flat vector before the graph is emitted. */
export const parameterOp: Op<ParameterAttrs> = {
  name: 'parameter',
  changes: true,
  infer: (_, { shape }) => [{ shape, dtype: 'float32' }],
  onnx: (_builder, _inputs, { name }) => {
    throw new Error(`parameter '${name}' was not packed before emission`);
  },
  evaluate: (_, { name }) => {
    throw new Error(`parameter '${name}' was given no value`);
  },
  cases: [],
};

export const parameter = (name: string, shape: Shape): Tensor => apply1(parameterOp, [], { name, shape });
