import { computedConstant, constantOp, constantValues } from '../ops/constant.js';
import { type LayerNormAttrs, layerNormOp } from '../ops/layer-norm.js';
import { linear, linearOp } from '../ops/linear.js';
import { standardise } from '../ops/standardise.js';
import { rewrite } from '../rewrite.js';
import { apply, type Node, type Tensor, topologicalOrder } from '../tensor.js';
import { type Uses, usesIn } from '../uses.js';
import type { Pass } from './pass.js';

/**
 * A frozen normalisation that only frozen products read, at once or in another order of its rows, gives them its gain γ
 * and shift β:
 *
 *   W·(γ∘x̂ + β) + b = (W·diag γ)·x̂ + (b + W·β)
 *
 * What remains, x̂, has mean 0 in every row, so W·diag γ may be replaced by W′ whose own rows have mean 0:
 * W′·x̂ = W·diag(γ)·x̂. The gradient it sends back, dz·W′, then has mean 0 as well, and the gradient of the normalisation
 * need not take its mean away (standardise's `centredGradient`). A step saves five passes over the activations for each
 * normalisation, and no weight is larger for it. Forward alone nothing is won. Exact up to rounding.
 */
export const foldNorms: Pass = {
  name: 'fold-norms',
  title: 'gains of frozen norms inside the products behind them',
  apply: rewriteAll,
};

function rewriteAll(outputs: readonly Tensor[]): Tensor[] {
  const uses = usesIn(outputs);
  const folded = new Set(topologicalOrder(outputs).filter((node) => folds(node, uses)));
  /** x̂ -> gain and shift that its readers take in. */
  const affine = new Map<Tensor, Affine>();
  return rewrite(outputs, (node, inputs) => {
    if (folded.has(node)) {
      const [x, gain, shift] = inputs as [Tensor, Tensor, Tensor];
      const normal = standardise(x, (node.attrs as LayerNormAttrs).eps, true);
      affine.set(normal, { gain, shift });
      return [normal, x, x]; // its statistics are read by nobody
    }
    const [normal, weight, bias] = inputs as [Tensor, Tensor, Tensor?];
    const taken = normal && affine.get(normal);
    if (!taken) return undefined;
    if (node.op !== linearOp) {
      const moved = apply(node.op, inputs, node.attrs);
      affine.set(moved[0]!, taken);
      return moved;
    }
    return [linear(normal, foldedWeight(weight, taken), foldedBias(weight, bias, taken))];
  });
}

/** What a normalisation multiplies and adds, [D] each. */
interface Affine {
  readonly gain: Tensor;
  readonly shift: Tensor;
}

function folds(node: Node, uses: Uses): boolean {
  if (node.op !== layerNormOp) return false;
  const [, ...affine] = node.inputs;
  const [y, mean, invStd] = node.outputs as [Tensor, Tensor, Tensor];
  const takenIn = (x: Tensor): boolean =>
    uses.only(x, (reader) =>
      movesRows(reader)
        ? takenIn(reader.outputs[0]!)
        : reader.op === linearOp && reader.inputs[0] === x && reader.inputs.slice(1).every(frozen),
    );
  return affine.every(frozen) && takenIn(y) && uses.of(mean).length + uses.of(invStd).length === 0;
}

/** Whether a node lays rows out anew and leaves each as it is. */
function movesRows(node: Node): boolean {
  const last = (t: Tensor) => t.shape.length - 1;
  const own = node.op.dataMovement && node.op.rows?.(last(node.outputs[0]!), node, node.attrs);
  return own ? own.inputs[0] === last(node.inputs[0]!) : false;
}

const frozen = (t: Tensor): boolean => t.node.op === constantOp;

/** W′ = W·diag γ with the mean of each row taken away. */
function foldedWeight(weight: Tensor, { gain }: Affine): Tensor {
  return computedConstant(weight.shape, () => {
    const from = constantValues(weight);
    const gains = constantValues(gain);
    const folded = new Float32Array(from.length);
    for (let start = 0; start < from.length; start += gains.length) {
      let sum = 0;
      for (let i = 0; i < gains.length; i++) sum += from[start + i]! * gains[i]!;
      const mean = sum / gains.length;
      for (let i = 0; i < gains.length; i++) folded[start + i] = from[start + i]! * gains[i]! - mean;
    }
    return folded;
  });
}

/** b′ = b + W·β. */
function foldedBias(weight: Tensor, bias: Tensor | undefined, { shift }: Affine): Tensor {
  return computedConstant([weight.shape[0]!], () => {
    const from = constantValues(weight);
    const shifts = constantValues(shift);
    const folded = bias ? constantValues(bias).slice() : new Float32Array(weight.shape[0]!);
    for (let row = 0; row < folded.length; row++) {
      let sum = folded[row]!;
      for (let i = 0; i < shifts.length; i++) sum += from[row * shifts.length + i]! * shifts[i]!;
      folded[row] = sum;
    }
    return folded;
  });
}
