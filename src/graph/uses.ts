/** Who reads a tensor: passes that move work from one place to another need to know that nobody else looks. */
import { type Node, type Tensor, topologicalOrder } from './tensor.js';

export interface Uses {
  /** The nodes that read the tensor, once for each input it is. */
  of(t: Tensor): readonly Node[];
  /** Whether somebody reads it, every reader is of that kind, and it is no output. */
  only(t: Tensor, kind: (reader: Node) => boolean): boolean;
  /** Whether exactly one node reads it, once, and it is no output. */
  single(t: Tensor): boolean;
}

/** The uses of every tensor that leads to `outputs`. */
export function usesIn(outputs: readonly Tensor[]): Uses {
  const readers = new Map<Tensor, Node[]>();
  for (const node of topologicalOrder(outputs)) {
    for (const t of node.inputs) {
      const known = readers.get(t);
      if (known) known.push(node);
      else readers.set(t, [node]);
    }
  }
  const final = new Set(outputs);
  const of = (t: Tensor) => readers.get(t) ?? [];
  const only = (t: Tensor, kind: (reader: Node) => boolean) => !final.has(t) && of(t).length > 0 && of(t).every(kind);
  return { of, only, single: (t) => only(t, () => of(t).length === 1) };
}
