import { scalar } from './constant.js';
import { unary } from './elementwise.js';
import { mul } from './mul.js';
import { sub } from './sub.js';

/** The logistic function, 1 / (1 + e^(−x)). */
export const { op: sigmoidOp, call: sigmoid } = unary({
  name: 'sigmoid',
  onnx: 'Sigmoid',
  f: (x) => 1 / (1 + Math.exp(-x)),
  // y = sigmoid(x): dx = dy∘y∘(1 − y)
  vjp: (dy, _, y) => mul(dy, mul(y, sub(scalar(1), y))),
});
