/** The shared shape of element-wise ops: a file of its own for each op says only what differs. */
import { map, zip } from '../ndarray.js';
import { apply1, broadcastShapes, type Node, type Op, type OpCase, shapeError, type Tensor } from '../tensor.js';

interface Unary {
  readonly name: string;
  /** ONNX operator type. */
  readonly onnx: string;
  readonly f: (x: number) => number;
  /** Gradient of the input, given dy, the input x and the output y. Absent: no gradient passes. */
  readonly vjp?: (dy: Tensor, x: Tensor, y: Tensor) => Tensor;
  /** Where random test inputs are drawn from. */
  readonly range?: readonly [number, number];
}

/** y = f(x), element by element. */
export function unary({ name, onnx, f, vjp, range }: Unary): { op: Op<null>; call: (x: Tensor) => Tensor } {
  const cases: OpCase<null>[] = [[], [5], [2, 3], [2, 1, 4]].map((shape) => ({
    inputs: [shape],
    attrs: null,
    ...(range && { range }),
  }));
  const op: Op<null> = {
    name,
    infer: ([x]) => [x!],
    onnx: (builder, inputs) => builder.node(onnx, inputs),
    evaluate: ([x]) => [map(x!, f)],
    rows: (axis) => ({ inputs: [axis], attrs: () => null }),
    ...(vjp
      ? { vjp: ([dy]: readonly (Tensor | null)[], node: Node) => [vjp(dy!, node.inputs[0]!, node.outputs[0]!)] }
      : { differentiable: false }),
    cases,
  };
  return { op, call: (x) => apply1(op, [x], null) };
}

interface Binary {
  readonly name: string;
  readonly onnx: string;
  readonly f: (a: number, b: number) => number;
  /** Gradients of both inputs at the broadcast shape; the walker sums them back. */
  readonly vjp: (dy: Tensor, a: Tensor, b: Tensor, y: Tensor) => readonly [Tensor, Tensor];
  readonly range?: readonly [number, number];
}

/** y = f(a, b), element by element, broadcasting as NumPy does. */
export function binary({ name, onnx, f, vjp, range }: Binary): {
  op: Op<null>;
  call: (a: Tensor, b: Tensor) => Tensor;
} {
  const shapes = [
    [[3], [3]],
    [[2, 3], [3]],
    [
      [2, 1, 4],
      [3, 1],
    ],
    [[], [2, 2]],
    [
      [1, 3],
      [4, 2, 1, 1],
    ],
  ];
  const op: Op<null> = {
    name,
    infer([a, b]) {
      if (a!.dtype !== b!.dtype) throw shapeError(name, `mixes ${a!.dtype} with ${b!.dtype}`);
      return [{ shape: broadcastShapes(a!.shape, b!.shape, name), dtype: a!.dtype }];
    },
    onnx: (builder, inputs) => builder.node(onnx, inputs),
    evaluate: ([a, b]) => [zip(a!, b!, f)],
    rows: (axis, node) => ({
      inputs: node.inputs.map((x) => alignedAxis(x, axis, node.outputs[0]!)),
      attrs: () => null,
    }),
    vjp: ([dy], node) => vjp(dy!, node.inputs[0]!, node.inputs[1]!, node.outputs[0]!),
    cases: shapes.map((inputs) => ({ inputs, attrs: null, ...(range && { range }) })),
  };
  return { op, call: (a, b) => apply1(op, [a, b], null) };
}

/** The axis of a broadcast operand that stands under an axis of the result; null where the operand is repeated. */
function alignedAxis(operand: Tensor, axis: number, result: Tensor): number | null {
  const own = axis - (result.shape.length - operand.shape.length);
  return own >= 0 && operand.shape[own] === result.shape[axis] ? own : null;
}
