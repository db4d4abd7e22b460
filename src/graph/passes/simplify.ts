import { addOp } from '../ops/add.js';
import { broadcastToOp } from '../ops/broadcast-to.js';
import { scalar, scalarValue } from '../ops/constant.js';
import { mul, mulOp } from '../ops/mul.js';
import { neg, negOp } from '../ops/neg.js';
import { reshape, reshapeOp } from '../ops/reshape.js';
import { type Rule, rewrite } from '../rewrite.js';
import { broadcastShapes, type Shape, sameShape, type Tensor } from '../tensor.js';
import type { Pass } from './pass.js';

/**
 * Small exact algebra that gradient rules leave behind: factors of 1 and −1, sums with 0, a reshape of a reshape, a
 * broadcast whose only use would be broadcasting anyway, two scalar factors in a row.
 */
export const simplify: Pass = {
  name: 'simplify',
  title: 'factors, sums and reshapes that do nothing',
  apply: (outputs) => rewrite(outputs, rule),
};

const rule: Rule = (node, inputs) => {
  const [a, b] = inputs as [Tensor, Tensor];
  const shape = node.outputs[0]!.shape;
  const keep = (t: Tensor) => (sameShape(t.shape, shape) ? [t] : undefined);
  switch (node.op) {
    case reshapeOp:
      return a.node.op === reshapeOp ? [reshape(a.node.inputs[0]!, shape)] : keep(a);
    case negOp:
      return a.node.op === negOp ? [a.node.inputs[0]!] : undefined;
    case mulOp:
      return simplifyProduct(a, b, shape) ?? simplifyProduct(b, a, shape) ?? undoBroadcast(a, b, shape);
    case addOp:
      if (scalarValue(a) === 0) return keep(b);
      if (scalarValue(b) === 0) return keep(a);
      return undefined;
    default:
      return undefined;
  }
};

function simplifyProduct(factor: Tensor, x: Tensor, shape: Shape): Tensor[] | undefined {
  const value = scalarValue(factor);
  if (value === undefined || !sameShape(x.shape, shape)) return undefined;
  if (value === 1) return [x];
  if (value === -1) return [neg(x)];
  if (x.node.op === mulOp) {
    for (const [inner, rest] of [x.node.inputs, [...x.node.inputs].reverse()] as [Tensor, Tensor][]) {
      const innerValue = scalarValue(inner);
      if (innerValue !== undefined) return [mul(rest, scalar(value * innerValue))];
    }
  }
  return undefined;
}

/** mul broadcasts by itself: expand(x)·y = x·y when y already has the full shape. */
function undoBroadcast(a: Tensor, b: Tensor, shape: Shape): Tensor[] | undefined {
  for (const [x, y] of [
    [a, b],
    [b, a],
  ] as const) {
    if (x.node.op !== broadcastToOp) continue;
    const source = x.node.inputs[0]!;
    if (sameShape(broadcastShapes(source.shape, y.shape, 'mul'), shape)) return [mul(source, y)];
  }
  return undefined;
}
