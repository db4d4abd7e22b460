import { unary } from './elementwise.js';
import { mul } from './mul.js';

/** eˣ. */
export const { op: expOp, call: exp } = unary({
  name: 'exp',
  onnx: 'Exp',
  f: Math.exp,
  vjp: (dy, _x, y) => mul(dy, y),
});
