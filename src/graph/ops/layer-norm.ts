import { ndarray } from '../ndarray.js';
import { apply, formatShape, type Op, shapeError, size, type Tensor } from '../tensor.js';
import { mul } from './mul.js';
import { reduceMean, reduceSum } from './reduce-sum.js';
import { reshape } from './reshape.js';
import { sub } from './sub.js';

export interface LayerNormAttrs {
  /** Added to the variance before the square root. */
  readonly eps: number;
}

/**
 * Normalises the last axis to mean 0 and variance 1, then scales and shifts.
 *
 * x [..., D], gain [D], shift [D] -> y [..., D], mean [..., 1], invStd [..., 1]
 *
 * The last two outputs exist for the backward pass and are not differentiable themselves.
 * @see Ba, Kiros, Hinton 2016, arXiv:1607.06450, section 3
 */
export const layerNormOp: Op<LayerNormAttrs> = {
  name: 'layerNorm',
  infer([x, gain, shift]) {
    const width = x!.shape.at(-1);
    if (
      gain!.shape.length !== 1 ||
      gain!.shape[0] !== width ||
      shift!.shape.length !== 1 ||
      shift!.shape[0] !== width
    ) {
      throw shapeError(
        'layerNorm',
        `x, gain, shift are ${[x, gain, shift].map((t) => formatShape(t!.shape)).join(', ')}; expected [..., D], [D], [D]`,
      );
    }
    const statistics = { shape: [...x!.shape.slice(0, -1), 1], dtype: 'float32' as const };
    return [x!, statistics, statistics];
  },
  onnx: (builder, inputs, { eps }) =>
    builder.node('LayerNormalization', inputs, { axis: -1, epsilon: { float: eps } }, 3),
  evaluate([x, gain, shift], { eps }) {
    const width = x!.shape.at(-1)!;
    const statistics = [...x!.shape.slice(0, -1), 1];
    const [y, mean, invStd] = [ndarray(x!.shape), ndarray(statistics), ndarray(statistics)];
    for (let row = 0; row < mean.data.length; row++) {
      const values = x!.data.subarray(row * width, (row + 1) * width);
      const m = values.reduce((a, b) => a + b, 0) / width;
      const variance = values.reduce((a, b) => a + (b - m) ** 2, 0) / width;
      const s = 1 / Math.sqrt(variance + eps);
      mean.data[row] = m;
      invStd.data[row] = s;
      values.forEach((v, i) => {
        y.data[row * width + i] = (v - m) * s * gain!.data[i]! + shift!.data[i]!;
      });
    }
    return [y, mean, invStd];
  },
  rows: (axis, { inputs: [x] }, attrs) =>
    axis < x!.shape.length - 1 ? { inputs: [axis, null, null], attrs: () => attrs } : undefined,
  // With x̂ = (x − mean)·invStd and g = dy∘gain:
  //   dx = invStd·(g − mean(g) − x̂·mean(g∘x̂)), dgain = Σ dy∘x̂, dshift = Σ dy, sums over all but the last axis
  vjp([dy], { inputs: [x, gain], outputs: [, mean, invStd] }) {
    const normal = mul(sub(x!, mean!), invStd!);
    const g = mul(dy!, gain!);
    const centred = sub(g, reduceMean(g, [-1], true));
    const dx = mul(invStd!, sub(centred, mul(normal, reduceMean(mul(g, normal), [-1], true))));
    const rows = (t: Tensor) => reshape(t, [size(t.shape.slice(0, -1)), t.shape.at(-1)!]);
    return [dx, reduceSum(rows(mul(dy!, normal)), [0]), reduceSum(rows(dy!), [0])];
  },
  statistics: [1, 2],
  cases: [
    { inputs: [[3, 5], [5], [5]], attrs: { eps: 1e-6 } },
    { inputs: [[2, 3, 4], [4], [4]], attrs: { eps: 1e-2 } },
  ],
};

export const layerNorm = (x: Tensor, gain: Tensor, shift: Tensor, eps: number): Tensor =>
  apply(layerNormOp, [x, gain, shift], { eps })[0]!;
