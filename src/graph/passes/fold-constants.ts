import { computedConstant, constant, constantOp } from '../ops/constant.js';
import { rewrite } from '../rewrite.js';
import { type Node, size, type Tensor } from '../tensor.js';
import type { Pass } from './pass.js';

/** What depends on frozen weights alone is computed now instead of in every step. Exact up to rounding. */
export const foldConstants: Pass = {
  name: 'fold-constants',
  title: 'frozen algebra done once',
  apply: (outputs) => rewrite(outputs, fold),
};

/** Everything is computed in float64 and rounded once. What would grow (a broadcast) is left to the step. */
function fold(node: Node, inputs: readonly Tensor[]): readonly Tensor[] | undefined {
  if (inputs.length === 0 || node.outputs.length > 1 || !inputs.every((t) => t.node.op === constantOp))
    return undefined;
  const { shape } = node.outputs[0]!;
  if (size(shape) > Math.max(...inputs.map((t) => size(t.shape)))) return undefined;
  const load = () => {
    const values = inputs.map((t) => t.node.op.evaluate([], t.node.attrs, t.node)[0]!);
    return Float32Array.from(node.op.evaluate(values, node.attrs, node)[0]!.data);
  };
  return [size(shape) > 1 ? computedConstant(shape, load) : constant(shape, load())];
}
