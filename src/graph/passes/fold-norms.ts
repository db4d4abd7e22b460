import { constant, constantOp, constantValues } from '../ops/constant.js';
import { type LayerNormAttrs, layerNormOp } from '../ops/layer-norm.js';
import { linear, linearOp } from '../ops/linear.js';
import { standardise } from '../ops/standardise.js';
import { rewrite } from '../rewrite.js';
import { type Node, type Tensor, topologicalOrder } from '../tensor.js';
import { type Uses, usesIn } from '../uses.js';

/**
 * A frozen normalisation that only frozen products read gives them its gain γ and shift β:
 *
 *   W·(γ∘x̂ + β) + b = (W·diag γ)·x̂ + (b + W·β)
 *
 * What remains, x̂, has mean 0 in every row, so W·diag γ may be replaced by W′ whose own rows have mean 0:
 * W′·x̂ = W·diag(γ)·x̂. The gradient it sends back, dz·W′, then has mean 0 as well, and the gradient of the normalisation
 * need not take its mean away (standardise's `centredGradient`). A step saves five passes over the activations for each
 * normalisation, and no weight is larger for it.
 */
export function foldNorms(outputs: readonly Tensor[]): Tensor[] {
  const uses = usesIn(outputs);
  const folded = new Set(topologicalOrder(outputs).filter((node) => folds(node, uses)));
  /** x̂ -> gain and shift that its readers take in. */
  const affine = new Map<Tensor, [gain: Float32Array, shift: Float32Array]>();
  return rewrite(outputs, (node, inputs) => {
    if (folded.has(node)) {
      const [x, gain, shift] = inputs as [Tensor, Tensor, Tensor];
      const normal = standardise(x, (node.attrs as LayerNormAttrs).eps, true);
      affine.set(normal, [constantValues(gain), constantValues(shift)]);
      return [normal, x, x]; // its statistics are read by nobody
    }
    const [normal, weight, bias] = inputs as [Tensor, Tensor, Tensor?];
    const taken = node.op === linearOp ? affine.get(normal) : undefined;
    if (!taken) return undefined;
    const product = foldInto(constantValues(weight), bias && constantValues(bias), ...taken);
    return [linear(normal, constant(weight.shape, product.weight), constant([weight.shape[0]!], product.bias))];
  });
}

function folds(node: Node, uses: Uses): boolean {
  if (node.op !== layerNormOp) return false;
  const [, ...affine] = node.inputs;
  const [y, mean, invStd] = node.outputs as [Tensor, Tensor, Tensor];
  const takesIn = ({ op, inputs: [x, ...rest] }: Node) => op === linearOp && x === y && rest.every(frozen);
  return affine.every(frozen) && uses.only(y, takesIn) && uses.of(mean).length + uses.of(invStd).length === 0;
}

const frozen = (t: Tensor): boolean => t.node.op === constantOp;

/** W′ = W·diag γ with the mean of each row taken away, b′ = b + W·β; sums in float64. */
function foldInto(weight: Float32Array, bias: Float32Array | undefined, gain: Float32Array, shift: Float32Array) {
  const width = gain.length;
  const rows = weight.length / width;
  const folded = { weight: new Float32Array(weight.length), bias: new Float32Array(rows) };
  const scaled = new Float64Array(width);
  for (let row = 0; row < rows; row++) {
    const start = row * width;
    let sum = 0;
    let offset = bias ? bias[row]! : 0;
    for (let i = 0; i < width; i++) {
      const w = weight[start + i]!;
      scaled[i] = w * gain[i]!;
      sum += scaled[i]!;
      offset += w * shift[i]!;
    }
    const mean = sum / width;
    for (let i = 0; i < width; i++) folded.weight[start + i] = scaled[i]! - mean;
    folded.bias[row] = offset;
  }
  return folded;
}
