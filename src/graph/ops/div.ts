import { binary } from './elementwise.js';
import { mul } from './mul.js';
import { neg } from './neg.js';

/** a / b, element by element, with broadcasting. */
export const { op: divOp, call: div } = binary({
  name: 'div',
  onnx: 'Div',
  f: (a, b) => a / b,
  // y = a/b: dy/da = 1/b, dy/db = −y/b
  vjp: (dy, _a, b, y) => {
    const da = div(dy, b);
    return [da, neg(mul(da, y))];
  },
  range: [0.5, 2],
});
