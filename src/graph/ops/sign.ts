import { unary } from './elementwise.js';

/** −1, 0 or 1. No gradient passes: it is zero wherever it exists. */
export const { op: signOp, call: sign } = unary({ name: 'sign', onnx: 'Sign', f: Math.sign });
