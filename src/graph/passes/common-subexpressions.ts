import type { ConstantAttrs } from '../ops/constant.js';
import { constantOp } from '../ops/constant.js';
import { type Rule, rewrite } from '../rewrite.js';
import { apply, type Node, type Tensor } from '../tensor.js';
import type { Pass } from './pass.js';

/**
 * Computes equal things once: two nodes with the same op, attributes and inputs become one.
 * The differentiator relies on it: gradient rules freely rebuild what the forward pass already has.
 */
export const commonSubexpressions: Pass = {
  name: 'common-subexpressions',
  title: 'what would be computed twice',
  apply: (outputs) => rewrite(outputs, firstOfEach()),
};

function firstOfEach(): Rule {
  const known = new Map<string, readonly Tensor[]>();
  const identity = new Map<unknown, number>();
  const numberOf = (object: unknown) => {
    if (!identity.has(object)) identity.set(object, identity.size);
    return identity.get(object)!;
  };

  return (node, inputs) => {
    const key = `${node.op.name}(${inputs.map((t) => `${t.node.id}.${t.index}`)})${attributesKey(node, numberOf)}`;
    const earlier = known.get(key);
    if (earlier) return earlier;
    const unchanged = inputs.every((t, i) => t === node.inputs[i]);
    const outputs = unchanged ? node.outputs : apply(node.op, inputs, node.attrs);
    known.set(key, outputs);
    return outputs;
  };
}

/** Constants are equal when they are the same place in a file, the same array, or the same single number. */
function attributesKey(node: Node, numberOf: (object: unknown) => number): string {
  if (node.op !== constantOp) return JSON.stringify(node.attrs);
  const { shape, data } = node.attrs as ConstantAttrs;
  if (data.kind === 'file') return JSON.stringify([shape, data.path, data.offset]);
  if (data.kind === 'memory' && data.values.length === 1) return JSON.stringify([shape, `${data.values[0]}`]);
  return JSON.stringify([shape, numberOf(data.kind === 'memory' ? data.values : data.load)]);
}
