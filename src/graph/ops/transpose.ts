import { dot, forEachIndex, ndarray } from '../ndarray.js';
import { apply1, formatShape, type Op, shapeError, strides, type Tensor } from '../tensor.js';

/** Reorders axes: output axis i is input axis `perm[i]`. */
export const transposeOp: Op<{ readonly perm: readonly number[] }> = {
  name: 'transpose',
  infer([x], { perm }) {
    if (
      perm.length !== x!.shape.length ||
      new Set(perm).size !== perm.length ||
      perm.some((p) => x!.shape[p] === undefined)
    ) {
      throw shapeError('transpose', `[${perm}] is no permutation of the axes of ${formatShape(x!.shape)}`);
    }
    return [{ shape: perm.map((p) => x!.shape[p]!), dtype: x!.dtype }];
  },
  onnx: (builder, [x], { perm }) => builder.node('Transpose', [x!], { perm }),
  evaluate([x], { perm }) {
    const from = perm.map((p) => strides(x!.shape)[p]!);
    const y = ndarray(perm.map((p) => x!.shape[p]!));
    forEachIndex(y.shape, (index, flat) => {
      y.data[flat] = x!.data[dot(index, from)]!;
    });
    return [y];
  },
  dataMovement: true,
  rows: (axis, _node, { perm }) => ({ inputs: [perm[axis]!], attrs: () => ({ perm }) }),
  vjp: ([dy], _node, { perm }) => [
    transpose(
      dy!,
      perm.map((_, i) => perm.indexOf(i)),
    ),
  ],
  cases: [
    { inputs: [[2, 3]], attrs: { perm: [1, 0] } },
    { inputs: [[2, 3, 4]], attrs: { perm: [2, 0, 1] } },
    { inputs: [[2, 3, 1, 4]], attrs: { perm: [0, 2, 1, 3] } },
  ],
};

export const transpose = (x: Tensor, perm: readonly number[]): Tensor => apply1(transposeOp, [x], { perm });
