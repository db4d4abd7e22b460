import { unary } from './elementwise.js';
import { exp } from './exp.js';
import { mul, scale } from './mul.js';
import { neg } from './neg.js';

/** The error function, 2/√π ∫₀ˣ e^(−t²) dt. */
export const { op: erfOp, call: erf } = unary({
  name: 'erf',
  onnx: 'Erf',
  f: erfNumber,
  vjp: (dy, x) => mul(dy, scale(exp(neg(mul(x, x))), 2 / Math.sqrt(Math.PI))),
});

/**
 * erf of one number to about 1e-15: the Maclaurin series below 3, the continued fraction of erfc above
 * (Abramowitz and Stegun 7.1.6 and 7.1.14).
 */
export function erfNumber(x: number): number {
  const z = Math.abs(x);
  if (z < 3) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
      term *= (2 * x * x) / (2 * n + 1);
      sum += term;
    }
    return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  }
  let fraction = z;
  for (let k = 60; k >= 1; k--) fraction = z + k / 2 / fraction;
  return Math.sign(x) * (1 - Math.exp(-z * z) / (Math.sqrt(Math.PI) * fraction));
}
