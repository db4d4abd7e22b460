/** gather and scatterAdd: each is the other's gradient, so they share a file. */
import { forEachIndex, ndarray } from '../ndarray.js';
import { apply1, normaliseAxis, type Op, type Shape, shapeError, size, strides, type Tensor } from '../tensor.js';

export interface GatherAttrs {
  readonly axis: number;
  /** Positions along the axis, known when the graph is built. */
  readonly indices: readonly number[];
}

/** Calls `visit` with the place of every number of a gathered array, and with its place in the array it was taken from. */
function forEachGathered(
  { axis, indices }: GatherAttrs,
  source: Shape,
  gathered: Shape,
  visit: (at: number, from: number) => void,
): void {
  const steps = strides(source);
  forEachIndex(gathered, (index, flat) => {
    let from = 0;
    for (let i = 0; i < index.length; i++) from += (i === axis ? indices[index[i]!]! : index[i]!) * steps[i]!;
    visit(flat, from);
  });
}

const resized = (shape: Shape, axis: number, length: number): Shape => shape.map((n, i) => (i === axis ? length : n));

/** The parts of a tensor along one axis that stand at given positions, in their order; a position may come often. */
export const gatherOp: Op<GatherAttrs> = {
  name: 'gather',
  infer([x], { axis, indices }) {
    const length = x!.shape[axis]!;
    const outside = indices.find((index) => !(Number.isInteger(index) && index >= 0 && index < length));
    if (outside !== undefined) throw shapeError('gather', `position ${outside} lies outside axis ${axis} of ${length}`);
    return [{ shape: resized(x!.shape, axis, indices.length), dtype: x!.dtype }];
  },
  onnx: (builder, [x], { axis, indices }) => builder.node('Gather', [x!, builder.ints(indices)], { axis }),
  evaluate([x], attrs, node) {
    const y = ndarray(node.outputs[0]!.shape);
    forEachGathered(attrs, x!.shape, y.shape, (at, from) => {
      y.data[at] = x!.data[from]!;
    });
    return [y];
  },
  dataMovement: true,
  rows: (own, _node, attrs) => (own === attrs.axis ? undefined : { inputs: [own], attrs: () => attrs }),
  // every position once: the gradient is put back by reading it in the opposite order
  vjp([dy], { inputs: [x] }, { axis, indices }) {
    const length = x!.shape[axis]!;
    const back = inverse(indices, length);
    return [back ? gather(dy!, axis, back) : apply1(scatterAddOp, [dy!], { axis, indices, length })];
  },
  cases: [
    { inputs: [[4, 3]], attrs: { axis: 0, indices: [2, 0, 3, 1] } },
    { inputs: [[2, 3, 2]], attrs: { axis: 1, indices: [1, 2, 0] } },
    { inputs: [[4, 3]], attrs: { axis: 0, indices: [1, 1, 3, 1, 0, 3] } },
    { inputs: [[2, 5, 3]], attrs: { axis: 1, indices: [4, 1, 4] } },
    { inputs: [[3]], attrs: { axis: 0, indices: [2] } },
  ],
};

export function gather(x: Tensor, axis: number, indices: readonly number[]): Tensor {
  return apply1(gatherOp, [x], { axis: normaliseAxis(axis, x.shape.length, 'gather'), indices });
}

/** Adds the parts of a tensor along one axis up at given positions of an axis of the given length. */
export const scatterAddOp: Op<GatherAttrs & { readonly length: number }> = {
  name: 'scatterAdd',
  infer([x], { axis, indices, length }) {
    if (x!.shape[axis] !== indices.length || indices.some((index) => index < 0 || index >= length)) {
      throw shapeError(
        'scatterAdd',
        `${indices.length} positions do not fit axis ${axis} of [${x!.shape}] or ${length}`,
      );
    }
    return [{ shape: resized(x!.shape, axis, length), dtype: x!.dtype }];
  },
  // A product with rows of zeros and a one: sums in a fixed order, unlike a scatter of several threads, and the runtime
  // makes the rows once.
  onnx(builder, [x], { axis, indices, length }, node) {
    const one = ['0', '1'].map((v) => builder.node('Reshape', [builder.scalar(Number(v)), builder.ints([1])])[0]!);
    const values = builder.node('Concat', one, { axis: 0 })[0]!;
    const rows = builder.node('OneHot', [builder.ints(indices), builder.ints([length]), values], { axis: 0 })[0]!; // [length, indices]
    const { shape } = node.inputs[0]!;
    const lead = size(shape.slice(0, axis));
    const flat = builder.node('Reshape', [x!, builder.ints([lead, indices.length, size(shape.slice(axis + 1))])])[0]!;
    const sums = builder.node('MatMul', [rows, flat])[0]!;
    return builder.node('Reshape', [sums, builder.ints(node.outputs[0]!.shape)]);
  },
  evaluate([x], attrs, node) {
    const y = ndarray(node.outputs[0]!.shape);
    forEachGathered(attrs, y.shape, x!.shape, (at, to) => {
      y.data[to] = y.data[to]! + x!.data[at]!;
    });
    return [y];
  },
  vjp: ([dy], _node, { axis, indices }) => [gather(dy!, axis, indices)],
  cases: [
    { inputs: [[4, 3]], attrs: { axis: 0, indices: [1, 1, 4, 0], length: 5 } },
    { inputs: [[2, 3, 2]], attrs: { axis: 1, indices: [0, 0, 3], length: 4 } },
  ],
};

/** The opposite order, when `indices` has each position of the axis once. */
function inverse(indices: readonly number[], length: number): number[] | undefined {
  if (indices.length !== length) return undefined;
  const back = new Array<number>(length).fill(-1);
  indices.forEach((index, at) => {
    back[index] = at;
  });
  return back.includes(-1) ? undefined : back;
}
