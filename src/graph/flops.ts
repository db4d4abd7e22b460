import { type Tensor, topologicalOrder } from './tensor.js';

/**
 * The floating-point operations of all matrix products that lead to `outputs`: what a machine's measured peak is held
 * against. Element-wise work, softmax and normalisation are not counted.
 */
export const countFlops = (outputs: readonly Tensor[]): number =>
  topologicalOrder(outputs).reduce((sum, node) => sum + (node.op.flops?.(node) ?? 0), 0);
