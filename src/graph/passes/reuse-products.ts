import { type MatmulAttrs, matmulOp } from '../ops/matmul.js';
import { mul, mulOp } from '../ops/mul.js';
import { type ReduceAttrs, reduceSum, reduceSumOp } from '../ops/reduce-sum.js';
import { type Rule, rewrite } from '../rewrite.js';
import { apply, type Node, sameShape, type Tensor } from '../tensor.js';
import type { Pass } from './pass.js';

/**
 * Sums of a product's rows from another product that is there already: rowsum((A·Bᵀ)∘C) = rowsum(A∘(C·B)).
 *
 * The gradient of attention's softmax needs rowsum(dP∘P) with dP = dO·Vᵀ, and P·V is the output O of the forward pass:
 * rowsum(dO∘O) takes d numbers a row instead of T. Exact up to rounding.
 */
export const reuseProducts: Pass = {
  name: 'reuse-products',
  title: 'the row sums of softmax’s gradient from attention’s output',
  apply: (outputs) => rewrite(outputs, reused()),
};

function reused(): Rule {
  /** The plain products C·B seen so far. */
  const products = new Map<string, Tensor>();
  const key = (c: Tensor, b: Tensor) => [c, b].map((t) => `${t.node.id}.${t.index}`).join();

  return (node, inputs) => {
    if (node.op === matmulOp) {
      const outputs = apply(node.op, inputs, node.attrs);
      if (isProduct(node, false)) products.set(key(inputs[0]!, inputs[1]!), outputs[0]!);
      return outputs;
    }
    const [terms] = inputs;
    if (node.op !== reduceSumOp || terms!.node.op !== mulOp) return undefined;
    const { axes, keepDims } = node.attrs as ReduceAttrs;
    if (axes.length !== 1 || axes[0] !== terms!.shape.length - 1) return undefined;
    for (const [x, c] of [terms!.node.inputs, [...terms!.node.inputs].reverse()] as [Tensor, Tensor][]) {
      if (!isProduct(x.node, true)) continue;
      const [a, b] = x.node.inputs as [Tensor, Tensor];
      const twin = products.get(key(c, b));
      const cheaper = a.shape.at(-1)! < c.shape.at(-1)!;
      if (twin && cheaper && sameShape(twin.shape, a.shape)) return [reduceSum(mul(a, twin), [-1], keepDims)];
    }
    return undefined;
  };
}

function isProduct({ op, attrs }: Node, transposed: boolean): boolean {
  if (op !== matmulOp) return false;
  const { transposeA, transposeB } = attrs as MatmulAttrs;
  return !transposeA && transposeB === transposed;
}
