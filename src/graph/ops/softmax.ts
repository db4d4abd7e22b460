import { mapRows } from '../ndarray.js';
import { apply1, type Op, type Tensor } from '../tensor.js';
import { mul } from './mul.js';
import { reduceSum } from './reduce-sum.js';
import { sub } from './sub.js';

/** softmax over the last axis, e^x / Σ e^x. */
export const softmaxOp: Op<null> = {
  name: 'softmax',
  infer: ([x]) => [x!],
  onnx: (builder, inputs) => builder.node('Softmax', inputs, { axis: -1 }),
  evaluate: ([x]) => [mapRows(x!, softmaxRow)],
  rows: (axis, { inputs: [x] }) => (axis < x!.shape.length - 1 ? { inputs: [axis], attrs: () => null } : undefined),
  // y = softmax(x): dx = y∘(dy − Σ dy∘y)
  vjp: ([dy], { outputs: [y] }) => [mul(y!, sub(dy!, reduceSum(mul(dy!, y!), [-1], true)))],
  cases: [
    { inputs: [[5]], attrs: null },
    { inputs: [[2, 3, 4]], attrs: null },
    { inputs: [[2, 3]], attrs: null, range: [-60, 60] },
  ],
};

export const softmax = (x: Tensor): Tensor => apply1(softmaxOp, [x], null);

function softmaxRow(row: Float64Array): Float64Array {
  const top = Math.max(...row);
  const weights = row.map((v) => Math.exp(v - top));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((w) => w / sum);
}
