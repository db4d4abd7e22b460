import { binary } from './elementwise.js';
import { neg } from './neg.js';

/** a − b, with broadcasting. */
export const { op: subOp, call: sub } = binary({
  name: 'sub',
  onnx: 'Sub',
  f: (a, b) => a - b,
  vjp: (dy) => [dy, neg(dy)],
});
