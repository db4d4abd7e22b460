/**
 * The lists of VTAB-1K: one image a line, `relative/path LABEL`.
 */
import { IdatError } from '../errors.js';

export interface ListedImage {
  /** Normalised, with forward slashes, inside the data set. */
  path: string;
  label: number;
  /** Counted from 1. */
  line: number;
}

/** Without a classes.txt the largest label decides how wide the head is; a slip of the pen should not make it a million. */
const MAX_CLASSES = 100_000;

/**
 * Parses a list. The path is everything before the last space, so it may hold spaces; blank lines are skipped, a byte-order
 * mark and Windows line ends are taken as they come.
 *
 * @param source what errors call the list, e.g. `caltech101/train800.txt`
 * @param classCount labels must be below it; `null` when no classes.txt says
 * @throws IdatError naming source:line — `data.list.line`, `data.list.label`, `data.list.escape`; `data.list.empty`
 */
export function parseSplitList(text: string, source: string, classCount: number | null): ListedImage[] {
  const images: ListedImage[] = [];
  text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .forEach((raw, index) => {
      const content = raw.replace(/\r$/, '');
      if (content.trim() === '') return;
      const where = `${source}:${index + 1}`;
      const space = content.trimEnd().lastIndexOf(' ');
      if (space < 1) {
        throw new IdatError('data.list.line', `${where}: expected "relative/path LABEL", got ${quote(content)}`);
      }
      const label = parseLabel(content.slice(space + 1).trimEnd(), where, classCount);
      images.push({ path: safePath(content.slice(0, space), where), label, line: index + 1 });
    });
  if (images.length === 0) throw new IdatError('data.list.empty', `${source}: lists no images`);
  return images;
}

function parseLabel(text: string, where: string, classCount: number | null): number {
  const limit = classCount ?? MAX_CLASSES;
  const label = Number(text);
  if (!/^-?\d+$/.test(text) || label < 0 || label >= limit) {
    const because = classCount === null ? '' : ` (classes.txt names ${classCount} classes)`;
    throw new IdatError(
      'data.list.label',
      `${where}: expected a label from 0 to ${limit - 1}${because}, got ${quote(text)}`,
    );
  }
  return label;
}

/** Refuses rather than repairs: a list with such a path was made by mistake or with intent. */
function safePath(text: string, where: string): string {
  const path = normalised(text);
  if (path === null || text.startsWith('/') || /^[A-Za-z]:/.test(path) || /[\\\0]/.test(path)) {
    throw new IdatError(
      'data.list.escape',
      `${where}: ${quote(text)} is not a path inside the data set; use a relative path with forward slashes and without ".."`,
    );
  }
  return path;
}

/** Without empty steps, `.` and `..`; null where it leads out. */
function normalised(text: string): string | null {
  const steps: string[] = [];
  for (const step of text.split('/')) {
    if (step === '..') {
      if (steps.pop() === undefined) return null;
    } else if (step !== '' && step !== '.') steps.push(step);
  }
  return steps.join('/');
}

const quote = (text: string) => JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
