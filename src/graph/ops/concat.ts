/** concat and split: each is the other's inverse and the other's gradient, so they share a file. */
import { forEachIndex, ndarray } from '../ndarray.js';
import {
  apply,
  apply1,
  formatShape,
  normaliseAxis,
  type OnnxBuilder,
  type Op,
  shapeError,
  strides,
  type Tensor,
} from '../tensor.js';
import { zeros } from './zeros.js';

/** Joins tensors along an existing axis. */
export const concatOp: Op<{ readonly axis: number }> = {
  name: 'concat',
  infer(inputs, { axis }) {
    const first = inputs[0]!;
    for (const t of inputs) {
      if (t.shape.length !== first.shape.length || t.shape.some((n, i) => i !== axis && n !== first.shape[i])) {
        throw shapeError(
          'concat',
          `${formatShape(t.shape)} does not fit ${formatShape(first.shape)} along axis ${axis}`,
        );
      }
    }
    const length = inputs.reduce((sum, t) => sum + t.shape[axis]!, 0);
    return [{ shape: first.shape.map((n, i) => (i === axis ? length : n)), dtype: first.dtype }];
  },
  onnx: (builder, inputs, { axis }) => builder.node('Concat', inputs, { axis }),
  evaluate(inputs, { axis }, node) {
    const y = ndarray(node.outputs[0]!.shape);
    const to = strides(y.shape);
    let start = 0;
    for (const x of inputs) {
      const at = start;
      forEachIndex(x.shape, (index, flat) => {
        let offset = at * to[axis]!;
        for (let i = 0; i < index.length; i++) offset += index[i]! * to[i]!;
        y.data[offset] = x.data[flat]!;
      });
      start += x.shape[axis]!;
    }
    return [y];
  },
  vjp: ([dy], { inputs }, { axis }) =>
    split(
      dy!,
      axis,
      inputs.map((t) => t.shape[axis]!),
    ),
  cases: [
    {
      inputs: [
        [2, 3],
        [1, 3],
        [4, 3],
      ],
      attrs: { axis: 0 },
    },
    {
      inputs: [
        [2, 1, 3],
        [2, 4, 3],
      ],
      attrs: { axis: 1 },
    },
  ],
};

export function concat(inputs: readonly Tensor[], axis: number): Tensor {
  if (inputs.length === 1) return inputs[0]!;
  return apply1(concatOp, inputs, { axis: normaliseAxis(axis, inputs[0]!.shape.length, 'concat') });
}

/** Cuts a tensor along an axis into pieces of the given sizes; the inverse of concat. */
export const splitOp: Op<{ readonly axis: number; readonly sizes: readonly number[] }> = {
  name: 'split',
  infer([x], { axis, sizes }) {
    if (sizes.reduce((a, b) => a + b, 0) !== x!.shape[axis] || sizes.some((n) => n < 1)) {
      throw shapeError(
        'split',
        `sizes ${formatShape(sizes)} do not add up to axis ${axis} of ${formatShape(x!.shape)}`,
      );
    }
    return sizes.map((n) => ({ shape: x!.shape.map((m, i) => (i === axis ? n : m)), dtype: x!.dtype }));
  },
  onnx: (builder, [x], { axis, sizes }) =>
    builder.forms === 'webgpu'
      ? nestedSplit(builder, x!, axis, sizes)
      : builder.node('Split', [x!, builder.ints(sizes)], { axis }, sizes.length),
  evaluate([x], { axis, sizes }) {
    const from = strides(x!.shape);
    let start = 0;
    return sizes.map((n) => {
      const y = ndarray(x!.shape.map((m, i) => (i === axis ? n : m)));
      const base = start * from[axis]!;
      forEachIndex(y.shape, (index, flat) => {
        let offset = base;
        for (let i = 0; i < index.length; i++) offset += index[i]! * from[i]!;
        y.data[flat] = x!.data[offset]!;
      });
      start += n;
      return y;
    });
  },
  vjp: (dy, { outputs }, { axis }) => [
    concat(
      dy.map((d, i) => d ?? zeros(outputs[i]!.shape)),
      axis,
    ),
  ],
  cases: [
    { inputs: [[6, 2]], attrs: { axis: 0, sizes: [1, 3, 2] } },
    { inputs: [[2, 9]], attrs: { axis: 1, sizes: [3, 3, 3] } },
    {
      inputs: [[60]],
      attrs: { axis: 0, sizes: Array.from({ length: 51 }, (_, i) => (i % 5 === 0 && i < 45 ? 2 : 1)) },
    },
  ],
};

/** A WebGPU kernel binds 10 buffers at most, and some adapters 8: the input and 7 outputs. */
const WEBGPU_PIECES = 7;

/** In pieces of several, which are split again. */
function nestedSplit(builder: OnnxBuilder, x: string, axis: number, sizes: readonly number[]): string[] {
  if (sizes.length <= WEBGPU_PIECES) return builder.node('Split', [x, builder.ints(sizes)], { axis }, sizes.length);
  const share = Math.ceil(sizes.length / WEBGPU_PIECES);
  const groups = Array.from({ length: Math.ceil(sizes.length / share) }, (_, i) =>
    sizes.slice(i * share, (i + 1) * share),
  );
  const lengths = groups.map((group) => group.reduce((a, b) => a + b, 0));
  const pieces = builder.node('Split', [x, builder.ints(lengths)], { axis }, groups.length);
  return groups.flatMap((group, i) =>
    group.length === 1 ? pieces[i]! : nestedSplit(builder, pieces[i]!, axis, group),
  );
}

export function split(x: Tensor, axis: number, sizes: readonly number[]): readonly Tensor[] {
  if (sizes.length === 1) return [x];
  return apply(splitOp, [x], { axis: normaliseAxis(axis, x.shape.length, 'split'), sizes });
}
