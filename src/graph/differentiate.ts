/**
 * Reverse-mode differentiation: one walk over the graph from the loss back, knowing no op.
 */
import { IdatError } from '../errors.js';
import { add, constant, reduceSum, reshape, zeros } from './ops/index.js';
import { type Node, type Shape, sameShape, type Tensor, topologicalOrder, within } from './tensor.js';

/**
 * The gradients of a scalar with respect to tensors, as new parts of the graph.
 *
 * Only nodes between `wrt` and `loss` are visited: nothing is computed for frozen weights, nor below the first
 * trainable tensor. A tensor the loss does not depend on gets zeros. What is made for a node carries its label.
 *
 * @throws IdatError `graph.gradient` when `loss` is no scalar or an op on the way has no gradient rule
 */
export function gradients(loss: Tensor, wrt: readonly Tensor[]): Tensor[] {
  if (loss.shape.length !== 0) {
    throw new IdatError('graph.gradient', `a loss must be a scalar to be differentiated, got shape [${loss.shape}]`);
  }
  const order = topologicalOrder([loss]);
  const onPath = nodesThatLeadFrom(wrt, order);
  const gradientOf = new Map<Tensor, Tensor>([[loss, constant([], Float32Array.of(1))]]);

  for (const node of order.reverse()) {
    if (!onPath.has(node) || node.inputs.length === 0) continue;
    const dy = node.outputs.map((output) => gradientOf.get(output) ?? null);
    if (dy.every((d) => d === null)) continue;
    const { vjp } = node.op;
    if (!vjp) throw new IdatError('graph.gradient', `op '${node.op.name}' has no gradient rule`);
    within({ ...node.label, backward: true }, () => {
      const dx = vjp(dy, node, node.attrs);
      node.inputs.forEach((input, i) => {
        const d = dx[i];
        if (!d || !onPath.has(input.node)) return;
        const summed = sumTo(d, input.shape);
        const earlier = gradientOf.get(input);
        gradientOf.set(input, earlier ? add(earlier, summed) : summed);
      });
    });
  }
  return wrt.map((t) => gradientOf.get(t) ?? zeros(t.shape));
}

/** The nodes through which a change in `from` can reach the end of `order`. */
function nodesThatLeadFrom(from: readonly Tensor[], order: readonly Node[]): Set<Node> {
  const reached = new Set(from.map((t) => t.node));
  for (const node of order) {
    if (node.op.differentiable !== false && node.inputs.some((t) => reached.has(t.node))) reached.add(node);
  }
  return reached;
}

/** Undoes broadcasting: sums a gradient over the axes along which its tensor was repeated. */
function sumTo(d: Tensor, shape: Shape): Tensor {
  if (sameShape(d.shape, shape)) return d;
  const lead = d.shape.length - shape.length;
  const axes = d.shape.flatMap((n, i) => (i < lead || (shape[i - lead] === 1 && n !== 1) ? [i] : []));
  return reshape(reduceSum(d, axes, true), shape);
}
