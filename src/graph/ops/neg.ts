import { unary } from './elementwise.js';

/** −x. */
export const { op: negOp, call: neg } = unary({ name: 'neg', onnx: 'Neg', f: (x) => -x, vjp: (dy) => neg(dy) });
