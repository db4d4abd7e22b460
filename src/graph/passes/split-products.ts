import { splitOp } from '../ops/concat.js';
import { constantOp, sliceConstant } from '../ops/constant.js';
import { linear, linearOp } from '../ops/linear.js';
import { rewrite } from '../rewrite.js';
import type { Node, Tensor } from '../tensor.js';
import { usesIn } from '../uses.js';
import type { Pass } from './pass.js';

/**
 * A frozen product that is cut into pieces at once becomes one product a piece, of the weight's rows it needs.
 *
 * Attention's queries, keys and values come from one product in every checkpoint; apart, nothing is copied to take them
 * apart, each can be rewritten by itself (the scale of the queries, the one query of the last block), and the runtime
 * reaches the same speed on the narrower products. Exact: every number is computed as before.
 */
export const splitProducts: Pass = {
  name: 'split-products',
  title: 'queries, keys and values as products of their own',
  apply(outputs) {
    const uses = usesIn(outputs);
    return rewrite(outputs, (node, [product]) => {
      if (!splitsProduct(node) || !uses.single(node.inputs[0]!)) return undefined;
      const [x, weight, bias] = product!.node.inputs as [Tensor, Tensor, Tensor?];
      let start = 0;
      return (node.attrs as { sizes: readonly number[] }).sizes.map((length) => {
        const end = start + length;
        const piece = linear(x, sliceConstant(weight, start, end), bias && sliceConstant(bias, start, end));
        start = end;
        return piece;
      });
    });
  },
};

function splitsProduct(node: Node): boolean {
  const producer = node.inputs[0]?.node;
  if (node.op !== splitOp || producer?.op !== linearOp) return false;
  const { axis } = node.attrs as { axis: number };
  const [, ...frozen] = producer.inputs;
  const alongOutput = axis === producer.outputs[0]!.shape.length - 1;
  return alongOutput && frozen.every((t) => t.node.op === constantOp);
}
