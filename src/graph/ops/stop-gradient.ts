import { unary } from './elementwise.js';

/** x itself, as a constant to differentiation: sg[x] of the papers. */
export const { op: stopGradientOp, call: stopGradient } = unary({
  name: 'stopGradient',
  onnx: 'Identity',
  f: (x) => x,
});
