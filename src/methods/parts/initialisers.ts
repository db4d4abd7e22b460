/** Starting values of trained tensors, by the names and definitions of timm and PyTorch. */
import { type Shape, size } from '../../graph/tensor.js';
import type { RandomStream } from '../../random.js';

/** Starting values for a tensor of that shape, row-major. */
export type Initialiser = (shape: Shape, random: RandomStream) => Float32Array;

/** Starting values of a head: weight [K, D] and bias [K]. */
export interface HeadInitialisers {
  readonly weight: Initialiser;
  readonly bias: Initialiser;
}

const each =
  (draw: (random: RandomStream) => number): Initialiser =>
  (shape, random) =>
    Float32Array.from({ length: size(shape) }, () => draw(random));

export const constantInit = (value: number): Initialiser => each(() => value);
export const zeroInit: Initialiser = constantInit(0);
export const oneInit: Initialiser = constantInit(1);

/** N(mean, std²) */
export const normal = (std: number, mean = 0): Initialiser => each((random) => mean + std * random.normal());

/**
 * N(0, std²) with values beyond ±2 drawn again: timm's trunc_normal_, whose bounds are absolute and so, at std 0.02,
 * never met.
 */
export const truncatedNormal = (std: number): Initialiser =>
  each((random) => {
    let value = std * random.normal();
    while (Math.abs(value) > 2) value = std * random.normal();
    return value;
  });

/** U(−bound, bound) */
export const uniform = (bound: number): Initialiser => each((random) => bound * (2 * random.uniform() - 1));

/**
 * U(−β, β) with β = 1/√fanIn: PyTorch's default for the weight and the bias of linear layers and convolutions.
 * @param fanIn what a bias must be told, as its own shape does not show it
 */
export const kaimingUniform =
  (fanIn?: number): Initialiser =>
  (shape, random) =>
    uniform((fanIn ?? fansOf(shape).fanIn) ** -0.5)(shape, random);

/** U(−β, β) with β = √(6/(fanIn + fanOut)). @see Glorot and Bengio 2010 */
export const xavierUniform: Initialiser = (shape, random) => {
  const { fanIn, fanOut } = fansOf(shape);
  return uniform(Math.sqrt(6 / (fanIn + fanOut)))(shape, random);
};

/** N(0, 2/fanOut). @see He et al. 2015, arXiv:1502.01852 */
export const kaimingNormalOut: Initialiser = (shape, random) =>
  normal(Math.sqrt(2 / fansOf(shape).fanOut))(shape, random);

/** As PyTorch counts them: axis 0 goes out, axis 1 comes in, whatever follows multiplies both. */
function fansOf(shape: Shape): { fanIn: number; fanOut: number } {
  const [first, second, ...rest] = shape;
  if (first === undefined || second === undefined)
    throw new Error('a tensor of one axis has no fan; give it, or choose another initialiser');
  return { fanIn: second * size(rest), fanOut: first * size(rest) };
}
