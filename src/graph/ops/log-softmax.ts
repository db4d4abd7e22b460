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
  onnx(builder, [x]) {
    if (builder.forms !== 'webgpu') return builder.node('LogSoftmax', [x!], { axis: -1 });
    const last = builder.ints([-1]);
    const shifted = builder.node('Sub', [x!, builder.node('ReduceMax', [x!, last])[0]!])[0]!;
    const sums = builder.node('ReduceSum', [builder.node('Exp', [shifted])[0]!, last])[0]!;
    return builder.node('Sub', [shifted, builder.node('Log', [sums])[0]!]);
  },
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
