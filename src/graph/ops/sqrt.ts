import { div } from './div.js';
import { unary } from './elementwise.js';
import { scale } from './mul.js';

/** √x, for x > 0. */
export const { op: sqrtOp, call: sqrt } = unary({
  name: 'sqrt',
  onnx: 'Sqrt',
  f: Math.sqrt,
  vjp: (dy, _x, y) => div(scale(dy, 0.5), y),
  range: [0.5, 3],
});
