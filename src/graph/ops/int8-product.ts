import { ndarray } from '../ndarray.js';
import { apply1, formatShape, type NdArray, type Op, shapeError, size, type Tensor } from '../tensor.js';

/**
 * A product with a weight of 8-bit integers: x·(scales∘weight) + bias, with x rounded to 8 bits on the way.
 *
 * x [..., K], weight int8 [K, N], scales [N] (one for each column), bias [N] (may be left out) -> [..., N]
 *
 * x is rounded to 256 steps between its smallest and largest number (0 included), both found anew at every run. Not
 * exact, and not differentiable: it replaces products after differentiation (passes/quantise-frozen.ts).
 * @see ONNX, DynamicQuantizeLinear; ONNX Runtime, com.microsoft.DynamicQuantizeMatMul
 */
export const int8ProductOp: Op<null> = {
  name: 'int8Product',
  infer([x, weight, scales, bias]) {
    const [width, columns] = weight!.shape;
    const fits = weight!.shape.length === 2 && weight!.dtype === 'int8' && x!.shape.at(-1) === width;
    if (!fits || ![scales!, ...(bias ? [bias] : [])].every((t) => t.shape.length === 1 && t.shape[0] === columns)) {
      const shapes = [x, weight, scales, bias].filter((t) => t !== undefined).map((t) => formatShape(t.shape));
      throw shapeError('int8Product', `got ${shapes.join(', ')}; expected [..., K], int8 [K, N], [N], [N]`);
    }
    return [{ shape: [...x!.shape.slice(0, -1), columns!], dtype: 'float32' }];
  },
  onnx: (builder, [x, weight, scales, bias]) =>
    builder.node('com.microsoft.DynamicQuantizeMatMul', [x!, weight!, scales!, ...(bias ? ['', bias] : [])]),
  evaluate([x, weight, scales, bias], _attrs, node) {
    const [K, N] = weight!.shape as [number, number];
    const rounded = roundTo8Bits(x!);
    const y = ndarray(node.outputs[0]!.shape);
    for (let row = 0; row < size(x!.shape) / K; row++) {
      for (let column = 0; column < N; column++) {
        let sum = 0;
        for (let k = 0; k < K; k++) sum += rounded.data[row * K + k]! * weight!.data[k * N + column]!;
        y.data[row * N + column] = sum * scales!.data[column]! + (bias?.data[column] ?? 0);
      }
    }
    return [y];
  },
  flops: ({ inputs: [, weight], outputs: [y] }) => 2 * size(y!.shape) * weight!.shape[0]!,
  differentiable: false,
  cases: [],
};

export const int8Product = (x: Tensor, weight: Tensor, scales: Tensor, bias?: Tensor): Tensor =>
  apply1(int8ProductOp, bias ? [x, weight, scales, bias] : [x, weight, scales], null);

/** To 256 steps between the extremes, 0 among them, as DynamicQuantizeLinear does in float32, and back. */
function roundTo8Bits(x: NdArray): NdArray {
  const low = Math.min(0, ...x.data);
  const step = Math.fround((Math.max(0, ...x.data) - low) / 255) || 1;
  const clamp = (value: number) => Math.min(255, Math.max(0, value));
  const zero = clamp(roundHalfEven(-low / step));
  return { shape: x.shape, data: x.data.map((value) => (clamp(roundHalfEven(value / step) + zero) - zero) * step) };
}

function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest === 0.5 ? below + Math.abs(below % 2) : Math.round(value);
}
