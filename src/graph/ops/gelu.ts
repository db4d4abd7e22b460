import { add } from './add.js';
import { scalar } from './constant.js';
import { unary } from './elementwise.js';
import { erf, erfNumber } from './erf.js';
import { exp } from './exp.js';
import { mul, scale } from './mul.js';

/**
 * The exact Gaussian error linear unit, x·Φ(x) with Φ the normal distribution function.
 *
 * @see Hendrycks and Gimpel 2016, arXiv:1606.08415. PyTorch's default; not the tanh approximation.
 */
export const { op: geluOp, call: gelu } = unary({
  name: 'gelu',
  onnx: 'Gelu',
  f: (x) => 0.5 * x * (1 + erfNumber(x * Math.SQRT1_2)),
  // d/dx x·Φ(x) = Φ(x) + x·φ(x), φ(x) = e^(−x²/2)/√(2π)
  vjp: (dy, x) => {
    const distribution = add(scale(erf(scale(x, Math.SQRT1_2)), 0.5), scalar(0.5));
    const density = scale(exp(scale(mul(x, x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
    return mul(dy, add(distribution, mul(x, density)));
  },
});
