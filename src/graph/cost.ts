/** What a graph costs, read off its shapes. */
import { constantOp } from './ops/constant.js';
import { type DType, size, type Tensor, topologicalOrder } from './tensor.js';

const ITEM_BYTES: Record<DType, number> = { float32: 4, int64: 8, int8: 1, uint8: 1 };

/**
 * The floating-point operations of all matrix products that lead to `outputs`: what a machine's measured peak is held
 * against. Element-wise work, softmax and normalisation are not counted.
 */
export const countFlops = (outputs: readonly Tensor[]): number =>
  topologicalOrder(outputs).reduce((sum, node) => sum + (node.op.flops?.(node) ?? 0), 0);

/** Bytes of one tensor. */
const bytesOf = ({ shape, dtype }: Tensor): number => ITEM_BYTES[dtype] * size(shape);

/** Bytes of all constants that `outputs` are computed with: the frozen weights. */
export const weightBytes = (outputs: readonly Tensor[]): number =>
  topologicalOrder(outputs)
    .filter(({ op }) => op === constantOp)
    .reduce((sum, { outputs: tensors }) => sum + tensors.reduce((part, t) => part + bytesOf(t), 0), 0);

/**
 * Bytes of all tensors that are computed on the way to `outputs`. A runtime frees many of them before the last is made,
 * so this bounds the memory of a run from above.
 */
export function activationBytes(outputs: readonly Tensor[]): number {
  const made = topologicalOrder(outputs).filter(({ op }) => op !== constantOp);
  return made.reduce((sum, { outputs: tensors }) => sum + tensors.reduce((part, t) => part + bytesOf(t), 0), 0);
}
