import { zip } from '../ndarray.js';
import { apply1, formatShape, type Op, shapeError, size, type Tensor } from '../tensor.js';
import { matmul, matmulOp } from './matmul.js';
import { reduceSum } from './reduce-sum.js';
import { reshape } from './reshape.js';

/**
 * A dense layer, x·Wᵀ + b, with the weight as PyTorch keeps it.
 *
 * x [..., in], weight [out, in], bias [out] (may be left out) -> [..., out]
 *
 * One stored weight serves both directions: forward as Gemm with transB, backward to x as MatMul(dy, W).
 */
export const linearOp: Op<null> = {
  name: 'linear',
  infer([x, weight, bias]) {
    const [out, width] = weight!.shape;
    if (
      weight!.shape.length !== 2 ||
      x!.shape.at(-1) !== width ||
      (bias && !(bias.shape.length === 1 && bias.shape[0] === out))
    ) {
      const shapes = [x, weight, bias].filter((t) => t !== undefined).map((t) => formatShape(t.shape));
      throw shapeError('linear', `x, weight, bias are ${shapes.join(', ')}; expected [..., in], [out, in], [out]`);
    }
    return [{ shape: [...x!.shape.slice(0, -1), out!], dtype: 'float32' }];
  },
  onnx(builder, [x, ...rest], _attrs, node) {
    const shape = node.inputs[0]!.shape;
    if (shape.length === 2) return builder.node('Gemm', [x!, ...rest], { transB: 1 });
    const rows = builder.node('Reshape', [x!, builder.ints([-1, shape.at(-1)!])])[0]!;
    const product = builder.node('Gemm', [rows, ...rest], { transB: 1 })[0]!;
    return builder.node('Reshape', [product, builder.ints(node.outputs[0]!.shape)]);
  },
  evaluate([x, weight, bias], _attrs, node) {
    const flags = { transposeA: false, transposeB: true };
    const rows = { shape: [size(x!.shape.slice(0, -1)), x!.shape.at(-1)!], data: x!.data };
    const product = matmulOp.evaluate([rows, weight!], flags, node)[0]!;
    const y = { shape: [...x!.shape.slice(0, -1), weight!.shape[0]!], data: product.data };
    return [bias ? zip(y, bias, (a, b) => a + b) : y];
  },
  rows: (axis, { inputs: [x, ...rest] }) =>
    axis < x!.shape.length - 1 ? { inputs: [axis, ...rest.map(() => null)], attrs: () => null } : undefined,
  flops: ({ inputs: [, weight], outputs: [y] }) => 2 * size(y!.shape) * weight!.shape[1]!,
  vjp([dy], { inputs: [x, weight, bias] }) {
    const rows = (t: Tensor) => reshape(t, [size(t.shape.slice(0, -1)), t.shape.at(-1)!]);
    const dx = matmul(dy!.shape.length < 2 ? rows(dy!) : dy!, weight!);
    return [
      dx.shape.length === x!.shape.length ? dx : reshape(dx, x!.shape),
      matmul(rows(dy!), rows(x!), true, false),
      ...(bias ? [reduceSum(rows(dy!), [0])] : []),
    ];
  },
  cases: [
    { inputs: [[2, 3], [4, 3], [4]], attrs: null },
    { inputs: [[2, 5, 3], [4, 3], [4]], attrs: null },
    {
      inputs: [
        [2, 1, 2, 3],
        [4, 3],
      ],
      attrs: null,
    },
  ],
};

export const linear = (x: Tensor, weight: Tensor, bias?: Tensor | null): Tensor =>
  apply1(linearOp, bias ? [x, weight, bias] : [x, weight], null);
