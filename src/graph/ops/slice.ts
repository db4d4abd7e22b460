import { normaliseAxis, shapeError, type Tensor } from '../tensor.js';
import { split } from './concat.js';

/** The part [start, end) of a tensor along one axis: one piece of a split. */
export function slice(x: Tensor, axis: number, start: number, end: number): Tensor {
  const at = normaliseAxis(axis, x.shape.length, 'slice');
  const length = x.shape[at]!;
  if (!(start >= 0 && start < end && end <= length)) {
    throw shapeError('slice', `[${start}, ${end}) lies outside axis ${axis} of length ${length}`);
  }
  const sizes = [start, end - start, length - end].filter((n) => n > 0);
  return split(x, at, sizes)[start > 0 ? 1 : 0]!;
}
