import type { Tensor } from '../tensor.js';
import { scalar } from './constant.js';
import { binary } from './elementwise.js';

/** a·b, element by element, with broadcasting. */
export const { op: mulOp, call: mul } = binary({
  name: 'mul',
  onnx: 'Mul',
  f: (a, b) => a * b,
  vjp: (dy, a, b) => [mul(dy, b), mul(dy, a)],
});

/** factor·x for a number known when tracing. */
export const scale = (x: Tensor, factor: number): Tensor => (factor === 1 ? x : mul(x, scalar(factor)));
