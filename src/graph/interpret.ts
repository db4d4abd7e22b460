/** Evaluates a graph by the ops' own float64 definitions: slow, exact, and what the fast path is checked against. */
import { type InputAttrs, inputOp } from './ops/input.js';
import { parameterOp } from './ops/parameter.js';
import { type NdArray, type Node, size, type Tensor, topologicalOrder } from './tensor.js';

/**
 * @param values by name: one array for each input and parameter, row-major
 * @returns the values of `outputs`
 */
export function interpret(outputs: readonly Tensor[], values: Readonly<Record<string, ArrayLike<number>>>): NdArray[] {
  const results = new Map<Node, readonly NdArray[]>();
  for (const node of topologicalOrder(outputs)) {
    results.set(node, node.op === inputOp || node.op === parameterOp ? [leaf(node, values)] : evaluate(node, results));
  }
  return outputs.map((t) => results.get(t.node)![t.index]!);
}

function leaf(node: Node, values: Readonly<Record<string, ArrayLike<number>>>): NdArray {
  const { name, shape } = node.attrs as InputAttrs;
  const data = values[name];
  if (data?.length !== size(shape)) {
    throw new Error(`'${name}' needs ${size(shape)} numbers, got ${data?.length ?? 'none'}`);
  }
  return { shape, data: Float64Array.from(data) };
}

function evaluate(node: Node, results: ReadonlyMap<Node, readonly NdArray[]>): readonly NdArray[] {
  const inputs = node.inputs.map((t) => results.get(t.node)![t.index]!);
  return node.op.evaluate(inputs, node.attrs, node);
}
