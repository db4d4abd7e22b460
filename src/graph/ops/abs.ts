import { unary } from './elementwise.js';
import { mul } from './mul.js';
import { sign } from './sign.js';

/** |x|; the gradient at 0 is taken as 0. */
export const { op: absOp, call: abs } = unary({
  name: 'abs',
  onnx: 'Abs',
  f: Math.abs,
  vjp: (dy, x) => mul(dy, sign(x)),
});
