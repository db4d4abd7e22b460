/** Labels as they stand in the names of ONNX nodes: `student/backbones.attention/backward:linear_12`. */
import type { Label } from './tensor.js';

/** Stands for what a label leaves open. */
const OPEN = '-';

/** The name of an ONNX node: its label, and `unique`, which tells it from others. A node without a label has no more. */
export function nodeName({ role = OPEN, part = OPEN, backward = false }: Label, unique: string): string {
  if (role === OPEN && part === OPEN) return unique;
  return `${role}/${part}/${backward ? 'backward' : 'forward'}:${unique}`;
}

/**
 * The label in a node's name, or null where there is none.
 *
 * Runtimes that fuse nodes put words of their own behind the name of one of them (`…:matmul_46/MatMulScaleFusion/`),
 * which is why the label stands in front.
 */
export function labelIn(name: string): Label | null {
  const [, role, part, direction] = /^([^/:]+)\/([^/:]+)\/(forward|backward):/.exec(name) ?? [];
  if (direction === undefined) return null;
  return {
    ...(role !== OPEN && { role: role! }),
    ...(part !== OPEN && { part: part! }),
    backward: direction === 'backward',
  };
}
