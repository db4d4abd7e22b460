import { binary } from './elementwise.js';

/** a + b, with broadcasting. */
export const { op: addOp, call: add } = binary({
  name: 'add',
  onnx: 'Add',
  f: (a, b) => a + b,
  vjp: (dy) => [dy, dy],
});
