/** A plan as a file of YAML, whose errors say the line. */
import { readFile } from 'node:fs/promises';
import { type Document, isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import { IdatError } from '../errors.js';
import { type CheckedPlan, checkPlan, type Place } from './plan.js';

/** A plan, and where in its file a part of it stands. */
export interface PlanFile {
  readonly plan: CheckedPlan;
  readonly place: Place;
}

/**
 * Reads and checks a plan.
 * @throws IdatError `config.plan`: which key, in which line, what was expected
 */
export async function readPlan(path: string): Promise<PlanFile> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    const why = error.code === 'ENOENT' ? 'no such file' : `cannot be read (${error.code})`;
    throw new IdatError('config.plan', `${path}: ${why}; give the file of a plan`, { cause: error });
  });
  return parsePlan(text, path);
}

/** The same of text. @param name what errors call it */
export function parsePlan(text: string, name: string): PlanFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, merge: true });
  const [broken] = document.errors;
  if (broken) {
    const { line } = lines.linePos(broken.pos[0]);
    throw new IdatError('config.plan', `${name}, line ${line}: no YAML: ${broken.message}`, { cause: broken });
  }
  const place: Place = (path) => {
    const offset = offsetOf(document, path);
    return offset === null ? ` (${name})` : ` (${name}, line ${lines.linePos(offset).line})`;
  };
  return { plan: checkPlan(document.toJS(), place), place };
}

/** Where the part begins, or what of its way there is: a key that is too many begins with its name. */
function offsetOf(document: Document, path: readonly (string | number)[]): number | null {
  let node: unknown = document.contents;
  let offset: number | null = null;
  for (const step of path) {
    const here = isAlias(node) ? node.resolve(document) : node;
    if (isMap(here)) {
      const pair = here.items.find(({ key }) => String(isScalar(key) ? key.value : key) === String(step));
      if (!pair) return offset;
      offset = (isNode(pair.key) ? pair.key.range?.[0] : undefined) ?? offset;
      node = pair.value;
    } else if (isSeq(here)) {
      node = here.items[Number(step)];
      if (!isNode(node)) return offset;
      offset = node.range?.[0] ?? offset;
    } else return offset;
  }
  return offset;
}
