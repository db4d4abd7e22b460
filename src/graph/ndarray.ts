/**
 * The few array routines that the float64 definitions of the ops share. Slow and plain on purpose: they are what the
 * fast path is compared with.
 */
import { broadcastShapes, type NdArray, type Shape, sameShape, size, strides } from './tensor.js';

export const ndarray = (shape: Shape, data: ArrayLike<number> = new Float64Array(size(shape))): NdArray => ({
  shape,
  data: data instanceof Float64Array ? data : Float64Array.from(data),
});

/** Calls `visit` with every multi-index of `shape` in row-major order. The array passed is reused. */
export function forEachIndex(shape: Shape, visit: (index: readonly number[], flat: number) => void): void {
  const total = size(shape);
  const index = new Array<number>(shape.length).fill(0);
  for (let flat = 0; flat < total; flat++) {
    visit(index, flat);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      if (++index[axis]! < shape[axis]!) break;
      index[axis] = 0;
    }
  }
}

export const map = (x: NdArray, f: (value: number) => number): NdArray => ({ shape: x.shape, data: x.data.map(f) });

/** Element-wise function of two arrays, with broadcasting. */
export function zip(a: NdArray, b: NdArray, f: (a: number, b: number) => number): NdArray {
  const shape = broadcastShapes(a.shape, b.shape, 'zip');
  if (b.data.length === 1 && sameShape(shape, a.shape)) {
    const only = b.data[0]!;
    return map(a, (value) => f(value, only)); // frozen weights are scaled this way, and they are large
  }
  const at = [a, b].map((x) => broadcastStrides(x.shape, shape));
  const result = ndarray(shape);
  forEachIndex(shape, (index, flat) => {
    result.data[flat] = f(a.data[dot(index, at[0]!)]!, b.data[dot(index, at[1]!)]!);
  });
  return result;
}

/** Strides for reading an array of shape `from` as if it had the broadcast shape `to`. */
export function broadcastStrides(from: Shape, to: Shape): number[] {
  const own = strides(from);
  const lead = to.length - from.length;
  return to.map((_, i) => (i < lead || from[i - lead] === 1 ? 0 : own[i - lead]!));
}

export const dot = (a: readonly number[], b: readonly number[]): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
};

/** Sums over `axes`, keeping them with length 1. */
export function sumKeepDims(x: NdArray, axes: readonly number[]): NdArray {
  const shape = x.shape.map((n, i) => (axes.includes(i) ? 1 : n));
  const result = ndarray(shape);
  const to = broadcastStrides(shape, x.shape);
  forEachIndex(x.shape, (index, flat) => {
    const at = dot(index, to);
    result.data[at] = result.data[at]! + x.data[flat]!;
  });
  return result;
}

/** Applies `f` to each row along the last axis. */
export function mapRows(x: NdArray, f: (row: Float64Array) => ArrayLike<number>): NdArray {
  const width = x.shape.at(-1)!;
  const result = ndarray(x.shape);
  for (let start = 0; start < x.data.length; start += width) {
    result.data.set(f(x.data.subarray(start, start + width)), start);
  }
  return result;
}
