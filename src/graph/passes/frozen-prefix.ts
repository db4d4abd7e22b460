import { input } from '../ops/input.js';
import { rewrite } from '../rewrite.js';
import { apply, type Node, type Tensor, topologicalOrder } from '../tensor.js';

/** The name by which it is switched off, as a pass is. */
export const FROZEN_PREFIX = 'frozen-prefix';

/** A graph cut in two. */
export interface FrozenPrefix {
  /** What crosses: tensors of the graph that was given, each computed from the images and constants alone. */
  readonly boundary: readonly Tensor[];
  /** The outputs again, computed from inputs that stand in the boundary's place. */
  readonly rest: Tensor[];
}

/**
 * Cuts off what gives the same result for the same image however training goes: all that depends on the images and on
 * constants alone.
 *
 * Run before differentiation it costs nothing of the gradient, which never goes below the first trainable tensor. The
 * cut is as late as it can be; only what a few cheap ops recompute from something that crosses anyway does not cross
 * itself. Where the part cut off multiplies no matrices, it is not worth a cut.
 *
 * @param outputs of the forward graph
 * @param images the input that the prefix may depend on
 * @param nameOf names the input that stands for each tensor of the boundary
 * @returns null when there is no prefix
 */
export function cutFrozenPrefix(
  outputs: readonly Tensor[],
  images: Tensor,
  nameOf: (index: number) => string,
): FrozenPrefix | null {
  const reach = reachOf(outputs, images);
  const boundary = withoutRecomputable(crossing(outputs, reach), reach);
  const multiplies = topologicalOrder(boundary).some((node) => node.op.flops && reach.get(node) === 'images');
  if (!multiplies) return null;

  const inputs = new Map(boundary.map((t, i) => [t, input(nameOf(i), t.shape, t.dtype)]));
  const rest = rewrite(outputs, (node, from) => {
    if (!node.outputs.some((t) => inputs.has(t))) return undefined;
    const computed = apply(node.op, from, node.attrs); // for the outputs that do not cross
    return node.outputs.map((t, i) => inputs.get(t) ?? computed[i]!);
  });
  return { boundary, rest };
}

/** What a node depends on: on constants alone, on the images as well, or on anything that may change. */
type Reach = 'constants' | 'images' | 'more';

function reachOf(outputs: readonly Tensor[], images: Tensor): Map<Node, Reach> {
  const reach = new Map<Node, Reach>();
  for (const node of topologicalOrder(outputs)) {
    const below = node.inputs.map((t) => reach.get(t.node)!);
    if (node === images.node) reach.set(node, 'images');
    else if (node.op.changes || below.includes('more')) reach.set(node, 'more');
    else reach.set(node, below.includes('images') ? 'images' : 'constants');
  }
  return reach;
}

/** The last tensors of the prefix: used by the rest, or outputs themselves. In topological order. */
function crossing(outputs: readonly Tensor[], reach: ReadonlyMap<Node, Reach>): Tensor[] {
  const found = new Set<Tensor>();
  const users = topologicalOrder(outputs).filter((node) => reach.get(node) === 'more');
  for (const t of [...users.flatMap((node) => node.inputs), ...outputs]) {
    if (reach.get(t.node) === 'images') found.add(t);
  }
  return [...found].sort((a, b) => a.node.id - b.node.id || a.index - b.index);
}

/** Leaves out each tensor that cheap ops compute from the others. */
function withoutRecomputable(boundary: readonly Tensor[], reach: ReadonlyMap<Node, Reach>): Tensor[] {
  const kept = new Set(boundary);
  const isCheap = ({ node }: Tensor): boolean =>
    reach.get(node) === 'constants' ||
    (!node.op.flops && node.inputs.length > 0 && node.inputs.every((t) => kept.has(t) || isCheap(t)));
  for (const t of [...boundary].reverse()) if (isCheap(t)) kept.delete(t);
  return [...kept];
}
