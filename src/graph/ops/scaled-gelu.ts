import { map } from '../ndarray.js';
import { apply, type Op, type Tensor } from '../tensor.js';
import { add } from './add.js';
import { div } from './div.js';
import { erfNumber } from './erf.js';
import { exp } from './exp.js';
import { mul, scale } from './mul.js';

/**
 * x·(1 + erf x): GELU without its constants, gelu(h) = (√2/2)·scaledGelu(h/√2), for where they fit into the products
 * before and behind it. Forward and backward share the factor 1 + erf x.
 *
 * x [...] -> y [...], gate = 1 + erf x [...]; the latter exists for the backward pass and is not differentiated itself.
 */
export const scaledGeluOp: Op<null> = {
  name: 'scaledGelu',
  infer: ([x]) => [x!, x!],
  onnx(builder, [x]) {
    const gate = builder.node('Add', [builder.node('Erf', [x!])[0]!, builder.scalar(1)])[0]!;
    return [builder.node('Mul', [x!, gate])[0]!, gate];
  },
  evaluate: ([x]) => [map(x!, (v) => v * (1 + erfNumber(v))), map(x!, (v) => 1 + erfNumber(v))],
  rows: (axis) => ({ inputs: [axis], attrs: () => null }),
  // dy/dx = gate + (2/√π)·x·e^(−x²); e^(x²) may overflow, and x/∞ is the 0 it stands for
  vjp([dy], { inputs: [x], outputs: [, gate] }) {
    const slope = scale(div(x!, exp(mul(x!, x!))), 2 / Math.sqrt(Math.PI));
    return [mul(dy!, add(gate!, slope))];
  },
  statistics: [1],
  cases: [
    { inputs: [[5]], attrs: null },
    { inputs: [[2, 3]], attrs: null },
    { inputs: [[2, 3]], attrs: null, range: [-12, 12] },
  ],
};

export const scaledGelu = (x: Tensor): Tensor => apply(scaledGeluOp, [x], null)[0]!;
