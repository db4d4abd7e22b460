import { unary } from './elementwise.js';
import { mul } from './mul.js';
import { sign } from './sign.js';

/** max(x, 0). The gradient is dy where y > 0, which is where sign(y) is 1, and 0 elsewhere. */
export const { op: reluOp, call: relu } = unary({
  name: 'relu',
  onnx: 'Relu',
  f: (x) => Math.max(x, 0),
  vjp: (dy, _x, y) => mul(dy, sign(y)),
});
