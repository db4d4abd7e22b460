import { computedConstant, constantOp, constantValues } from '../ops/constant.js';
import { geluOp } from '../ops/gelu.js';
import { linear, linearOp } from '../ops/linear.js';
import { scaledGelu } from '../ops/scaled-gelu.js';
import { rewrite } from '../rewrite.js';
import { type Node, type Tensor, topologicalOrder } from '../tensor.js';
import { type Uses, usesIn } from '../uses.js';
import type { Pass } from './pass.js';

/**
 * A GELU between two frozen products gives them its constants:
 *
 *   gelu(h) = h·½(1 + erf(h/√2)) = (√2/2)·g·(1 + erf g) with g = h/√2
 *
 * 1/√2 goes into the product before it, √2/2 into the one behind it (the same number, twice). Forward and backward then
 * take nine passes over the widest activations of the network instead of twelve.
 */
export const foldGelus: Pass = {
  name: 'fold-gelus',
  title: 'constants of GELU inside the products around it',
  apply: rewriteAll,
};

function rewriteAll(outputs: readonly Tensor[]): Tensor[] {
  const uses = usesIn(outputs);
  const before = new Set<Node>();
  const gelus = new Set<Node>();
  const behind = new Set<Node>();
  for (const node of topologicalOrder(outputs)) {
    const readers = readersToFold(node, uses);
    if (!readers) continue;
    before.add(node.inputs[0]!.node);
    gelus.add(node);
    for (const reader of readers) behind.add(reader);
  }
  return rewrite(outputs, (node, inputs) => {
    if (gelus.has(node)) return [scaledGelu(inputs[0]!)];
    if (!before.has(node) && !behind.has(node)) return undefined;
    const [x, weight, bias] = inputs as [Tensor, Tensor, Tensor?];
    const factor = before.has(node) && behind.has(node) ? 0.5 : Math.SQRT1_2;
    return [linear(x, times(weight, factor), bias && times(bias, before.has(node) ? Math.SQRT1_2 : 1))];
  });
}

/** The frozen products that alone read a GELU of a frozen product that it alone reads; undefined when it is not so. */
function readersToFold(node: Node, uses: Uses): readonly Node[] | undefined {
  const [x] = node.inputs;
  if (node.op !== geluOp || !uses.single(x!) || !frozenProduct(x!.node)) return undefined;
  const y = node.outputs[0]!;
  return uses.only(y, (reader) => reader.inputs[0] === y && frozenProduct(reader)) ? uses.of(y) : undefined;
}

function frozenProduct({ op, inputs: [, ...rest] }: Node): boolean {
  return op === linearOp && rest.every((t) => t.node.op === constantOp);
}

function times(t: Tensor, factor: number): Tensor {
  if (factor === 1) return t;
  return computedConstant(t.shape, () => {
    const scaled = constantValues(t).slice();
    for (let i = 0; i < scaled.length; i++) scaled[i]! *= factor;
    return scaled;
  });
}
