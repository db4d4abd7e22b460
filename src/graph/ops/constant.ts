import { ndarray } from '../ndarray.js';
import { apply1, formatShape, type Op, type Shape, shapeError, size, type Tensor } from '../tensor.js';

/** Where the float32 numbers of a constant lie: in memory, or in a file the runtime reads by itself. */
export type ConstantData =
  | { readonly kind: 'memory'; readonly values: Float32Array }
  | {
      readonly kind: 'file';
      readonly path: string;
      /** Byte offset of the first number; little-endian float32, row-major. */
      readonly offset: number;
      /** Reads the same numbers into memory: for folding and for runtimes without files. */
      readonly load: () => Float32Array;
    };

export interface ConstantAttrs {
  readonly shape: Shape;
  readonly data: ConstantData;
}

/** A frozen tensor: its numbers are part of the graph, and no gradient reaches it. */
export const constantOp: Op<ConstantAttrs> = {
  name: 'constant',
  infer(_, { shape, data }) {
    if (data.kind === 'memory' && data.values.length !== size(shape)) {
      throw shapeError('constant', `${data.values.length} numbers do not fill ${formatShape(shape)}`);
    }
    return [{ shape, dtype: 'float32' }];
  },
  // written by emit.ts, which places small and large constants differently
  onnx: () => [],
  evaluate: (_, { shape, data }) => [ndarray(shape, data.kind === 'memory' ? data.values : data.load())],
  differentiable: false,
  cases: [],
};

export const constant = (shape: Shape, data: ConstantData | Float32Array): Tensor =>
  apply1(constantOp, [], { shape, data: data instanceof Float32Array ? { kind: 'memory', values: data } : data });

/** A number as a tensor of rank 0. */
export const scalar = (value: number): Tensor => constant([], Float32Array.of(value));

/** The numbers of a constant tensor; read from its file where they lie in one. */
export function constantValues(t: Tensor): Float32Array {
  const { data } = t.node.attrs as ConstantAttrs;
  return data.kind === 'memory' ? data.values : data.load();
}

/** The rows [start, end) of a constant, without reading or copying it. */
export function sliceConstant(t: Tensor, start: number, end: number): Tensor {
  const { data } = t.node.attrs as ConstantAttrs;
  const width = size(t.shape.slice(1));
  const shape = [end - start, ...t.shape.slice(1)];
  const rows = (values: Float32Array) => values.subarray(start * width, end * width);
  if (data.kind === 'memory') return constant(shape, rows(data.values));
  return constant(shape, { ...data, offset: data.offset + 4 * start * width, load: () => rows(data.load()) });
}

/** The value of a constant scalar tensor, or undefined when `t` is anything else. */
export function scalarValue(t: Tensor): number | undefined {
  if (t.node.op !== constantOp || t.shape.length > 0) return undefined;
  const { data } = t.node.attrs as ConstantAttrs;
  return data.kind === 'memory' ? data.values[0] : undefined;
}
