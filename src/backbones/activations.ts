/** The functions between the two products of an MLP, by the names that checkpoints give them. */
import { add, gelu, mul, scalar, scale, sigmoid } from '../graph/ops/index.js';
import type { Tensor } from '../graph/tensor.js';
import type { Activation } from './backbone.js';

export const ACTIVATIONS: Readonly<Record<Activation, (x: Tensor) => Tensor>> = {
  gelu,
  /** ½x(1 + tanh √(2/π)(x + 0.044715x³)), and ½(1 + tanh u) = sigmoid 2u. Hendrycks and Gimpel 2016, arXiv:1606.08415 */
  gelu_tanh: (x) => {
    const slope = 2 * Math.sqrt(2 / Math.PI);
    const turned = mul(x, add(scale(mul(x, x), slope * 0.044715), scalar(slope)));
    return mul(x, sigmoid(turned));
  },
  /** x·sigmoid(1.702x), as CLIP was trained. */
  quick_gelu: (x) => mul(x, sigmoid(scale(x, 1.702))),
  /** x·sigmoid(x), also called Swish. */
  silu: (x) => mul(x, sigmoid(x)),
};

/** All that idat computes. */
export const ALL_ACTIVATIONS = Object.keys(ACTIVATIONS) as Activation[];

/** What timm and transformers call them. */
const NAMES: Readonly<Record<string, Activation>> = {
  gelu: 'gelu',
  gelu_erf: 'gelu',
  gelu_python: 'gelu',
  gelu_tanh: 'gelu_tanh',
  gelu_pytorch_tanh: 'gelu_tanh',
  gelu_new: 'gelu_tanh',
  gelu_fast: 'gelu_tanh',
  quick_gelu: 'quick_gelu',
  quickgelu: 'quick_gelu',
  silu: 'silu',
  swish: 'silu',
};

/** The activation of that name; undefined for one that idat does not compute. */
export const activationByName = (name: string): Activation | undefined =>
  Object.hasOwn(NAMES, name.toLowerCase()) ? NAMES[name.toLowerCase()] : undefined;
