/**
 * One tensor of a checkpoint: its shape, and where its numbers come from. Views of it (another shape, another order of
 * axes, several joined) are tensors of the same kind, computed when they are asked for.
 */
import { IdatError } from '../../errors.js';
import { formatShape, type Shape, sameShape, size } from '../../graph/tensor.js';

/** Where numbers lie in a file as they are: little-endian float32, row-major. */
export interface Place {
  readonly path: string;
  /** Byte offset of the first number. */
  readonly offset: number;
}

export interface StoredTensor {
  /** What messages call it: the name it has in the file. */
  readonly name: string;
  readonly shape: Shape;
  /** The element type in the file's own word, such as F32, BF16 or <f4. */
  readonly type: string;
  /** Whether the elements are floating-point numbers; others cannot be loaded. */
  readonly isFloat: boolean;
  /** null where the numbers have to be converted, put in order or unpacked first. */
  readonly place: Place | null;
  /**
   * The numbers, row-major; `count` of them from `first` on.
   * @throws IdatError when the file has changed since it was opened, or is damaged there
   */
  load(first?: number, count?: number): Float32Array;
}

/** The same numbers in the same order under another shape. */
export function reshaped(t: StoredTensor, shape: Shape): StoredTensor {
  if (size(shape) !== size(t.shape)) {
    throw new IdatError(
      'backbone.tensor',
      `tensor ${t.name} is ${formatShape(t.shape)}, expected ${formatShape(shape)}`,
    );
  }
  return { ...t, shape, load: (first, count) => t.load(first, count) };
}

/** A tensor with its axes in another order; knows what it was, so that undoing the order gives back what lies in the file. */
interface Permuted extends StoredTensor {
  readonly source: StoredTensor;
  readonly order: readonly number[];
}

/** Axis i of the result is axis `order[i]` of the tensor, as in NumPy's transpose. */
export function permuted(t: StoredTensor, order: readonly number[]): StoredTensor {
  if (order.every((axis, i) => axis === i)) return t;
  if ('source' in t) {
    const { source, order: before } = t as Permuted;
    return permuted(
      source,
      order.map((axis) => before[axis]!),
    );
  }
  const shape = order.map((axis) => t.shape[axis]!);
  const load = (first = 0, count = size(shape) - first) =>
    permuteNumbers(t.load(), t.shape, order).subarray(first, first + count);
  return { ...t, shape, place: null, load, source: t, order } as Permuted;
}

/** @returns the numbers of a row-major array with its axes in another order */
function permuteNumbers(values: Float32Array, shape: Shape, order: readonly number[]): Float32Array {
  const strides = shape.map((_, axis) => size(shape.slice(axis + 1)));
  const lengths = order.map((axis) => shape[axis]!);
  const steps = order.map((axis) => strides[axis]!);
  const result = new Float32Array(values.length);
  if (values.length === 0) return result;
  const [inner, step] = [lengths.at(-1)!, steps.at(-1)!];
  const at = new Array<number>(lengths.length - 1).fill(0); // position along all axes but the last
  for (let out = 0, from = 0; out < result.length; ) {
    for (let i = 0; i < inner; i++) result[out++] = values[from + i * step]!;
    for (let axis = at.length - 1; axis >= 0; axis--) {
      from += steps[axis]!;
      if (++at[axis]! < lengths[axis]!) break;
      from -= steps[axis]! * lengths[axis]!;
      at[axis] = 0;
    }
  }
  return result;
}

/** Tensors joined along their first axis, in this order. @throws IdatError when their shapes do not allow it */
export function joined(parts: readonly StoredTensor[]): StoredTensor {
  const [head, ...others] = parts as [StoredTensor, ...StoredTensor[]];
  const odd = others.find((t) => !sameShape(t.shape.slice(1), head.shape.slice(1)) || t.type !== head.type);
  if (odd) {
    const describe = ({ name, type, shape }: StoredTensor) => `${name} is ${type} ${formatShape(shape)}`;
    throw new IdatError(
      'backbone.tensor',
      `tensor ${describe(head)} and ${describe(odd)}, which do not fit each other`,
    );
  }
  const shape = [parts.reduce((rows, t) => rows + t.shape[0]!, 0), ...head.shape.slice(1)];
  const load = (first = 0, count = size(shape) - first) => {
    const values = new Float32Array(count);
    let start = 0; // of the part, among all numbers
    for (const part of parts) {
      const length = size(part.shape);
      const from = Math.max(first - start, 0);
      const to = Math.min(first + count - start, length);
      if (from < to) values.set(part.load(from, to - from), start + from - first);
      start += length;
    }
    return values;
  };
  return {
    name: parts.map(({ name }) => name).join(', '),
    shape,
    type: head.type,
    isFloat: head.isFloat,
    place: null,
    load,
  };
}

/** Rows `from` up to `end` along the first axis; they lie where they lay. */
export function rowsOf(t: StoredTensor, from: number, end: number): StoredTensor {
  const row = size(t.shape.slice(1));
  const shape = [end - from, ...t.shape.slice(1)];
  return {
    ...t,
    shape,
    place: t.place && { ...t.place, offset: t.place.offset + 4 * from * row },
    load: (first = 0, count = size(shape) - first) => t.load(from * row + first, count),
  };
}

/** The tensors, and beside each that matches one of zeros under another name, where there is none of that name. */
export function withZeros<F extends { readonly tensors: ReadonlyMap<string, StoredTensor> }>(
  file: F,
  pattern: RegExp,
  zeroName: string,
): F {
  const tensors = new Map(file.tensors);
  for (const [name, t] of file.tensors) {
    const other = name.replace(pattern, zeroName);
    if (other === name || tensors.has(other)) continue;
    const load = (first = 0, count = size(t.shape) - first) => new Float32Array(count);
    tensors.set(other, { ...t, name: other, place: null, load });
  }
  return { ...file, tensors };
}
