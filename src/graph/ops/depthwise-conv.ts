import { forEachIndex, ndarray } from '../ndarray.js';
import { apply1, formatShape, type Op, shapeError, size, type Tensor } from '../tensor.js';
import { flip } from './flip.js';
import { reduceSum } from './reduce-sum.js';
import { reshape } from './reshape.js';

export interface DepthwiseConvAttrs {
  /** Zeros around each map: rows above and below, columns left and right. */
  readonly padding: readonly [rows: number, columns: number];
}

/**
 * Slides over each channel a kernel of its own (a cross-correlation, as deep learning's convolutions are):
 *
 *   y[b, c, i, j] = Σ_{p, q} x[b, c, i + p − rows, j + q − columns]·kernel[c, p, q], x being 0 outside
 *
 * x [B, C, h, w], kernel [C, k, l] -> [B, C, h + 2·rows − k + 1, w + 2·columns − l + 1]
 */
export const depthwiseConvOp: Op<DepthwiseConvAttrs> = {
  name: 'depthwiseConv',
  infer([x, kernel], { padding }) {
    const [B, C, ...sides] = x!.shape as [number, number, ...number[]];
    const [channels, ...window] = kernel!.shape;
    const out = sides.map((n, i) => n + 2 * padding[i]! - window[i]! + 1);
    const fits = x!.shape.length === 4 && kernel!.shape.length === 3 && channels === C;
    if (!fits || out.some((n) => n < 1) || padding.some((n) => n < 0)) {
      const shapes = `x and kernel are ${formatShape(x!.shape)} and ${formatShape(kernel!.shape)}`;
      const expected = 'expected [B, C, h, w], [C, k, l] and no window larger than its padded map';
      throw shapeError('depthwiseConv', `${shapes}, padding ${formatShape(padding)}; ${expected}`);
    }
    return [{ shape: [B, C, ...out], dtype: 'float32' }];
  },
  onnx(builder, [x, kernel], { padding: [rows, columns] }, node) {
    const [C, k, l] = node.inputs[1]!.shape as [number, number, number];
    const weight = builder.node('Reshape', [kernel!, builder.ints([C, 1, k, l])])[0]!;
    const pads = [rows, columns, rows, columns];
    return builder.node('Conv', [x!, weight], { group: C, kernel_shape: [k, l], pads });
  },
  evaluate([x, kernel], { padding }, node) {
    const [, C, h, w] = x!.shape as [number, number, number, number];
    const [, k, l] = kernel!.shape as [number, number, number];
    const y = ndarray(node.outputs[0]!.shape);
    forEachIndex(y.shape, ([b, c, i, j], flat) => {
      let sum = 0;
      for (let p = 0; p < k; p++) {
        for (let q = 0; q < l; q++) {
          const [row, column] = [i! + p - padding[0], j! + q - padding[1]];
          if (row < 0 || row >= h || column < 0 || column >= w) continue;
          sum += x!.data[((b! * C + c!) * h + row) * w + column]! * kernel!.data[(c! * k + p) * l + q]!;
        }
      }
      y.data[flat] = sum;
    });
    return [y];
  },
  rows: (axis, _node, attrs) => (axis < 2 ? { inputs: [axis, axis === 1 ? 0 : null], attrs: () => attrs } : undefined),
  flops: ({ inputs: [, kernel], outputs: [y] }) => 2 * size(y!.shape) * size(kernel!.shape.slice(1)),
  // With less padding than the window is wide, as all uses have it:
  // dx[b, c, r, s] = Σ_{i, j} dy[b, c, i, j]·kernel[c, r − i + rows, s − j + columns]: dy under the kernel turned around.
  // dkernel[c, p, q] = Σ_b Σ_{i, j} x[b, c, i + p − rows, j + q − columns]·dy[b, c, i, j]: x under dy, each image alone.
  vjp([dy], { inputs: [x, kernel] }, { padding }) {
    const [B, C, h, w] = x!.shape as [number, number, number, number];
    const [, k, l] = kernel!.shape as [number, number, number];
    const [, , i, j] = dy!.shape as [number, number, number, number];
    const around = [k - 1 - padding[0], l - 1 - padding[1]] as const;
    const alone = depthwiseConv(reshape(x!, [1, B * C, h, w]), reshape(dy!, [B * C, i, j]), padding);
    return [depthwiseConv(dy!, flip(kernel!, [1, 2]), around), reduceSum(reshape(alone, [B, C, k, l]), [0])];
  },
  cases: [
    {
      inputs: [
        [2, 3, 4, 4],
        [3, 3, 3],
      ],
      attrs: { padding: [1, 1] },
    },
    {
      inputs: [
        [1, 2, 3, 5],
        [2, 1, 4],
      ],
      attrs: { padding: [0, 2] },
    },
    {
      inputs: [
        [2, 2, 2, 3],
        [2, 5, 5],
      ],
      attrs: { padding: [2, 2] },
    },
  ],
};

/** @param padding zeros around each map; ⌊k/2⌋ keeps its size under an odd window k */
export const depthwiseConv = (x: Tensor, kernel: Tensor, padding: readonly [number, number]): Tensor =>
  apply1(depthwiseConvOp, [x, kernel], { padding });
