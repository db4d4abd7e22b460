import { constantOp, scalarValue } from '../ops/constant.js';
import { linear, linearOp } from '../ops/linear.js';
import { mulOp, scale } from '../ops/mul.js';
import { rewrite } from '../rewrite.js';
import { type Node, size, type Tensor, topologicalOrder } from '../tensor.js';
import { type Uses, usesIn } from '../uses.js';
import type { Pass } from './pass.js';

/**
 * A fixed factor on a large tensor moves to the weights the tensor is made with: s·(W·x + b) = (s·W)·x + s·b.
 *
 * It costs one pass over the small weight instead of one over the activations, and another one backward; a frozen
 * weight takes it in for good. So attention's 1/√d ends in the query weights and an adapter's s in its second matrix.
 * Exact up to rounding.
 */
export const hoistScales: Pass = {
  name: 'hoist-scales',
  title: 'factors on activations as factors on weights',
  apply(outputs) {
    const uses = usesIn(outputs);
    /** Multiplications that go away: which of their inputs stays. */
    const dropped = new Map<Node, number>();
    const factors = new Map<Node, number>();
    for (const node of topologicalOrder(outputs)) {
      const [factor, kept] = factorOf(node);
      const product = kept === undefined ? undefined : sourceProduct(node.inputs[kept]!, uses);
      if (!product) continue;
      dropped.set(node, kept!);
      factors.set(product, (factors.get(product) ?? 1) * factor!);
    }
    return rewrite(outputs, (node, inputs) => {
      const kept = dropped.get(node);
      if (kept !== undefined) return [inputs[kept]!];
      const factor = factors.get(node);
      if (factor === undefined) return undefined;
      const [x, weight, bias] = inputs as [Tensor, Tensor, Tensor?];
      return [linear(x, scale(weight, factor), bias && scale(bias, factor))];
    });
  },
};

/** The number a node multiplies by, and which of its inputs it multiplies. */
function factorOf(node: Node): [factor: number, input: number] | [] {
  if (node.op !== mulOp) return [];
  for (const [i, t] of node.inputs.entries()) {
    const value = scalarValue(t);
    if (value !== undefined) return [value, 1 - i];
  }
  return [];
}

/** The product `x` is made by, when nothing but `x` reads it and its weight is less to multiply than `x`. */
function sourceProduct(x: Tensor, uses: Uses): Node | undefined {
  const { node } = x;
  if (!uses.single(x)) return undefined;
  if (node.op.dataMovement) return sourceProduct(node.inputs[0]!, uses);
  if (node.op !== linearOp) return undefined;
  const weight = node.inputs[1]!;
  return weight.node.op === constantOp || size(weight.shape) < size(x.shape) ? node : undefined;
}
