import { ndarray } from '../ndarray.js';
import { apply1, formatShape, type Op, shapeError, type Tensor } from '../tensor.js';
import { matmul } from './matmul.js';
import { oneHot } from './one-hot.js';

/**
 * Some rows of each image's table: y[b, i] = x[b, indices[b, i]].
 *
 * x [B, T, D], indices int64 [B, t], each from 0 to T − 1 -> [B, t, D]
 */
export const takeTokensOp: Op<null> = {
  name: 'takeTokens',
  infer([x, indices]) {
    const fits = x!.shape.length === 3 && indices!.shape.length === 2 && x!.shape[0] === indices!.shape[0];
    if (!fits || indices!.dtype !== 'int64') {
      const given = `${formatShape(x!.shape)} and ${indices!.dtype} ${formatShape(indices!.shape)}`;
      throw shapeError('takeTokens', `expected tokens [B, T, D] and int64 indices [B, t], got ${given}`);
    }
    return [{ shape: [x!.shape[0]!, indices!.shape[1]!, x!.shape[2]!], dtype: x!.dtype }];
  },
  onnx(builder, [x, indices]) {
    const positions = builder.node('Unsqueeze', [indices!, builder.ints([-1])])[0]!;
    return builder.node('GatherND', [x!, positions], { batch_dims: 1 });
  },
  evaluate([x, indices]) {
    const [B, T, D] = x!.shape as [number, number, number];
    const taken = indices!.shape[1]!;
    const y = ndarray([B, taken, D]);
    indices!.data.forEach((token, at) => {
      const from = (Math.floor(at / taken) * T + token) * D;
      y.data.set(x!.data.subarray(from, from + D), at * D);
    });
    return [y];
  },
  // each row goes back to where it came from: dx = Eᵀ·dy with E the rows' indices as unit vectors, [B, t, T]
  vjp: ([dy], { inputs: [x, indices] }) => [matmul(oneHot(indices!, x!.shape[1]!), dy!, true, false), null],
  cases: [],
};

export const takeTokens = (x: Tensor, indices: Tensor): Tensor => apply1(takeTokensOp, [x, indices], null);
