/**
 * The machinery of rewriting: a graph is rebuilt from its leaves, and each node may be replaced on the way.
 * Every pass is a file under passes/.
 */
import { apply, type Node, type Tensor, topologicalOrder, within } from './tensor.js';

/**
 * What becomes of one node whose inputs are already rewritten: its new outputs, or undefined to keep the node
 * (rebuilt on the new inputs when they changed).
 */
export type Rule = (node: Node, inputs: readonly Tensor[]) => readonly Tensor[] | undefined;

/** Rewrites everything that leads to `outputs`; dead parts are left behind. What replaces a node carries its label. */
export function rewrite(outputs: readonly Tensor[], rule: Rule): Tensor[] {
  const replaced = new Map<Node, readonly Tensor[]>();
  const current = (t: Tensor): Tensor => replaced.get(t.node)![t.index]!;
  for (const node of topologicalOrder(outputs)) {
    const inputs = node.inputs.map(current);
    const unchanged = inputs.every((t, i) => t === node.inputs[i]);
    const rebuild = () => (unchanged ? node.outputs : apply(node.op, inputs, node.attrs));
    replaced.set(
      node,
      within(node.label, () => rule(node, inputs) ?? rebuild()),
    );
  }
  return outputs.map(current);
}

/** As `rewrite`, for outputs with names. */
export function rewriteNamed(outputs: Readonly<Record<string, Tensor>>, rule: Rule): Record<string, Tensor> {
  const names = Object.keys(outputs);
  const rewritten = rewrite(Object.values(outputs), rule);
  return Object.fromEntries(names.map((name, i) => [name, rewritten[i]!]));
}
