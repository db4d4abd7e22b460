import { ndarray } from '../ndarray.js';
import { apply1, type DType, formatShape, type Op, type Shape, shapeError, size, type Tensor } from '../tensor.js';

export type Numbers = Float32Array | Int8Array;

/**
 * Where the numbers of a constant, row-major, come from: memory, a file the runtime reads by itself, or a function that
 * is called when the graph is emitted, so that a large folded weight is in memory only while it is written.
 */
export type ConstantData =
  | { readonly kind: 'memory'; readonly values: Numbers }
  | { readonly kind: 'computed'; readonly dtype: 'float32' | 'int8'; readonly load: () => Numbers }
  | {
      readonly kind: 'file';
      readonly path: string;
      /** Byte offset of the first number; little-endian float32, row-major. */
      readonly offset: number;
      /** Reads the same numbers, or `count` of them from `first` on: for folding and for runtimes without files. */
      readonly load: (first?: number, count?: number) => Float32Array;
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
    return [{ shape, dtype: dtypeOf(data) }];
  },
  // written by emit.ts, which places small and large constants differently
  onnx: () => [],
  evaluate: (_, { shape, data }) => [ndarray(shape, data.kind === 'memory' ? data.values : data.load())],
  differentiable: false,
  cases: [],
};

function dtypeOf(data: ConstantData): DType {
  if (data.kind === 'computed') return data.dtype;
  return data.kind === 'memory' && data.values instanceof Int8Array ? 'int8' : 'float32';
}

export const constant = (shape: Shape, data: ConstantData | Float32Array): Tensor =>
  apply1(constantOp, [], { shape, data: data instanceof Float32Array ? { kind: 'memory', values: data } : data });

/** A constant whose float32 numbers are made when the graph is emitted. */
export const computedConstant = (shape: Shape, load: () => Float32Array): Tensor =>
  constant(shape, { kind: 'computed', dtype: 'float32', load });

/** A number as a tensor of rank 0. */
export const scalar = (value: number): Tensor => constant([], Float32Array.of(value));

/** The numbers of a float32 constant, read or computed where they are not in memory. */
export function constantValues(t: Tensor): Float32Array {
  const { data } = t.node.attrs as ConstantAttrs;
  return (data.kind === 'memory' ? data.values : data.load()) as Float32Array;
}

/** The rows [start, end) of a constant, without reading or copying it. */
export function sliceConstant(t: Tensor, start: number, end: number): Tensor {
  const { data } = t.node.attrs as ConstantAttrs;
  const width = size(t.shape.slice(1));
  const shape = [end - start, ...t.shape.slice(1)];
  const rows = (values: Numbers) => values.subarray(start * width, end * width) as Float32Array;
  if (data.kind === 'memory') return constant(shape, rows(data.values));
  if (data.kind === 'computed') return computedConstant(shape, () => rows(data.load()));
  const load = (first = 0, count = size(shape) - first) => data.load(start * width + first, count);
  return constant(shape, { ...data, offset: data.offset + 4 * start * width, load });
}

/** The value of a constant scalar tensor, or undefined when `t` is anything else. */
export function scalarValue(t: Tensor): number | undefined {
  if (t.node.op !== constantOp || t.shape.length > 0) return undefined;
  const { data } = t.node.attrs as ConstantAttrs;
  return data.kind === 'memory' ? data.values[0] : undefined;
}
