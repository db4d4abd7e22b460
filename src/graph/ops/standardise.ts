import { apply, type Op, type Tensor } from '../tensor.js';
import { layerNormOp } from './layer-norm.js';
import { mul } from './mul.js';
import { reduceMean } from './reduce-sum.js';
import { sub } from './sub.js';

export interface StandardiseAttrs {
  /** Added to the variance before the square root. */
  readonly eps: number;
  /** Promised by whoever reads y: the gradient that comes back has mean 0 in every row. */
  readonly centredGradient: boolean;
}

/**
 * A layer norm without gain and shift: each row of the last axis to mean 0 and variance 1.
 *
 * x [..., D] -> y [..., D], invStd [..., 1]; the latter exists for the backward pass and is not differentiated itself.
 */
export const standardiseOp: Op<StandardiseAttrs> = {
  name: 'standardise',
  infer: ([x]) => [x!, { shape: [...x!.shape.slice(0, -1), 1], dtype: 'float32' }],
  onnx(builder, [x], { eps }, node) {
    const ones = builder.node('Expand', [builder.scalar(1), builder.ints([node.inputs[0]!.shape.at(-1)!])])[0]!;
    const attributes = { axis: -1, epsilon: { float: eps } };
    const [y, , invStd] = builder.node('LayerNormalization', [x!, ones], attributes, 3) as [string, string, string];
    return [y, invStd];
  },
  evaluate([x], { eps }, node) {
    const width = x!.shape.at(-1)!;
    const affine = [1, 0].map((value) => ({ shape: [width], data: new Float64Array(width).fill(value) }));
    const [y, , invStd] = layerNormOp.evaluate([x!, ...affine], { eps }, node);
    return [y!, invStd!];
  },
  rows: (axis, { inputs: [x] }, attrs) =>
    axis < x!.shape.length - 1 ? { inputs: [axis], attrs: () => attrs } : undefined,
  // dx = invStd·(dy − mean(dy) − y·mean(dy∘y))
  vjp([dy], { outputs: [y, invStd] }, { centredGradient }) {
    const centred = centredGradient ? dy! : sub(dy!, reduceMean(dy!, [-1], true));
    return [mul(invStd!, sub(centred, mul(y!, reduceMean(mul(dy!, y!), [-1], true))))];
  },
  statistics: [1],
  cases: [
    { inputs: [[3, 5]], attrs: { eps: 1e-6, centredGradient: false } },
    { inputs: [[2, 3, 4]], attrs: { eps: 1e-2, centredGradient: false } },
  ],
};

export const standardise = (x: Tensor, eps: number, centredGradient = false): Tensor =>
  apply(standardiseOp, [x], { eps, centredGradient })[0]!;
