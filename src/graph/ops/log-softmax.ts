import { mapRows } from '../ndarray.js';
import { apply1, type Op, type Tensor } from '../tensor.js';
import { exp } from './exp.js';
import { mul } from './mul.js';
import { reduceSum } from './reduce-sum.js';
import { sub } from './sub.js';

/** ln softmax over the last axis, x − ln Σ e^x: never −∞ where a softmax would round to 0. */
export const logSoftmaxOp: Op<null> = {
  name: 'logSoftmax',
  infer: ([x]) => [x!],
  onnx: (builder, inputs) => builder.node('LogSoftmax', inputs, { axis: -1 }),
  evaluate: ([x]) => [
    mapRows(x!, (row) => {
      const top = Math.max(...row);
      const total = top + Math.log(row.reduce((sum, v) => sum + Math.exp(v - top), 0));
      return row.map((v) => v - total);
    }),
  ],
  // y = x − ln Σ e^x: dx = dy − e^y·Σ dy
  vjp: ([dy], { outputs: [y] }) => [sub(dy!, mul(exp(y!), reduceSum(dy!, [-1], true)))],
  cases: [
    { inputs: [[5]], attrs: null },
    { inputs: [[2, 3, 4]], attrs: null },
    { inputs: [[2, 3]], attrs: null, range: [-60, 60] },
  ],
};

export const logSoftmax = (x: Tensor): Tensor => apply1(logSoftmaxOp, [x], null);
