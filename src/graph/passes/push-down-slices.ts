import { splitOp } from '../ops/concat.js';
import { slice } from '../ops/slice.js';
import { rewrite } from '../rewrite.js';
import { apply, type Node, type Tensor, topologicalOrder } from '../tensor.js';
import type { Pass } from './pass.js';

/** The part [start, end) along an axis: all that is needed of a tensor. */
interface Part {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
}

/**
 * Computes only what is read: where every use of a tensor reads the same slice of it, the slice moves up through
 * whatever works row by row.
 *
 * A ViT's head reads the class token alone, so of the last block's projection and MLP one token of 197 is needed, and of
 * its attention one row; written as the paper has it, all are computed. Exact: each remaining row is computed as before.
 * Run before differentiation, it shrinks the backward pass as well.
 */
export const pushDownSlices: Pass = {
  name: 'push-down-slices',
  title: 'only the rows that are read',
  apply: slicesPushedDown,
};

function slicesPushedDown(outputs: readonly Tensor[]): Tensor[] {
  const { parts, pieces } = findParts(outputs);
  return rewrite(outputs, (node, inputs) => {
    const piece = pieces.get(node);
    // a split whose input has become the wanted piece already
    if (piece && inputs[0]!.shape[piece.axis] !== node.inputs[0]!.shape[piece.axis])
      return node.outputs.map(() => inputs[0]!);
    const part = parts.get(node);
    if (!part) return undefined;
    const { inputs: axes, attrs } = node.op.rows!(part.axis, node, node.attrs)!;
    const cut = inputs.map((t, i) => cutTo(part, t, node.inputs[i]!, axes[i] ?? null));
    return apply(node.op, cut, attrs(part.end - part.start));
  });
}

/** Cuts an input, unless its producer has been cut already. */
function cutTo({ start, end }: Part, now: Tensor, before: Tensor, axis: number | null): Tensor {
  return axis !== null && now.shape[axis] === before.shape[axis] ? slice(now, axis, start, end) : now;
}

/** Walks from the end to the beginning: which nodes are needed in part, and which splits have one used piece. */
function findParts(outputs: readonly Tensor[]): { parts: Map<Node, Part>; pieces: Map<Node, Part> } {
  const parts = new Map<Node, Part>();
  const pieces = new Map<Node, Part>();
  const needed = new Map<Tensor, Part | 'whole'>();
  const need = (t: Tensor, what: Part | 'whole') => {
    const earlier = needed.get(t);
    needed.set(t, earlier === undefined || same(earlier, what) ? what : 'whole');
  };

  for (const t of outputs) need(t, 'whole');
  for (const node of topologicalOrder(outputs).reverse()) {
    const used = node.outputs.filter((t) => needed.has(t));
    const what = used.length === 1 ? needed.get(used[0]!)! : 'whole';
    const piece = what === 'whole' && used.length === 1 ? pieceOf(node, used[0]!) : undefined;
    const rows = what !== 'whole' ? node.op.rows?.(what.axis, node, node.attrs) : undefined;
    if (piece) pieces.set(node, piece);
    if (rows) parts.set(node, what as Part);
    node.inputs.forEach((input, i) => {
      const axis = rows?.inputs[i] ?? null;
      need(input, piece ?? (rows && axis !== null ? { ...(what as Part), axis } : 'whole'));
    });
  }
  return { parts, pieces };
}

const same = (a: Part | 'whole', b: Part | 'whole'): boolean =>
  a === b || (a !== 'whole' && b !== 'whole' && a.axis === b.axis && a.start === b.start && a.end === b.end);

/** Where in its input the one used output of a split lies. */
function pieceOf(node: Node, output: Tensor): Part | undefined {
  if (node.op !== splitOp) return undefined;
  const { axis, sizes } = node.attrs as { axis: number; sizes: readonly number[] };
  const start = sizes.slice(0, output.index).reduce((a, b) => a + b, 0);
  return { axis, start, end: start + sizes[output.index]! };
}
