/**
 * The lists of VTAB-1K: one image a line, `relative/path LABEL`.
 */
import { IdatError } from '../errors.js';
import { isImagePath } from './file-tree.js';
import { SINGLE_LABEL, severalLabels } from './multi-label.js';

export interface ListedImage {
  /** Normalised, with forward slashes, inside the data set. */
  path: string;
  label: number;
  /** Counted from 1. */
  line: number;
}

/** Without a classes.txt the largest label decides how wide the head is; a slip of the pen should not make it a million. */
const MAX_CLASSES = 100_000;

/** Lines in which several labels are looked for, which takes the square of a line's length. */
const LONGEST = 4096;

export interface ListOptions {
  /** Labels must be below it; `null` when no classes.txt says. */
  classCount: number | null;
  /** Absolute paths of the data set's folder: what begins with one of them lies inside. */
  roots?: readonly string[];
  /** Told of a line that is wrong, which is then passed over; without it, it is thrown. */
  onProblem?: ((problem: IdatError) => void) | undefined;
}

/**
 * Parses a list. What divides path and label is spaces, tabs or a comma, as many as there are; the path may hold spaces,
 * and stand in quotes. Blank lines are skipped, a byte-order mark and Windows line ends are taken as they come.
 *
 * @param source what errors call the list, e.g. `caltech101/train800.txt`
 * @throws IdatError naming source:line — `data.list.line`, `data.list.label`, `data.list.escape`, `data.multi-label`;
 *   `data.list.empty`
 */
export function parseSplitList(
  text: string,
  source: string,
  { classCount, roots = [], onProblem }: ListOptions,
): ListedImage[] {
  const images: ListedImage[] = [];
  const known = new Map<string, ListedImage>();
  text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .forEach((raw, index) => {
      if (raw.trim() === '') return;
      const where = `${source}:${index + 1}`;
      const read = () => {
        const { path, label } = divide(raw.replace(/\r$/, ''), where);
        const inside = safePath(withoutRoot(unquoted(path), roots), where);
        const image = { path: inside, label: parseLabel(label, where, classCount), line: index + 1 };
        const before = known.get(image.path);
        if (before && before.label !== image.label) {
          const what = `${quote(image.path)} has another label in line ${before.line}`;
          throw new IdatError('data.multi-label', `${where}: ${what}; ${SINGLE_LABEL}`);
        }
        return image;
      };
      const image = passingOver(onProblem, read);
      if (!image) return;
      known.set(image.path, image);
      images.push(image);
    });
  if (images.length === 0) throw new IdatError('data.list.empty', `${source}: lists no images`);
  return images;
}

/** What `read` gives; null where it throws an IdatError that somebody is told of. */
export function passingOver<T>(onProblem: ((problem: IdatError) => void) | undefined, read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (!onProblem || !(error instanceof IdatError)) throw error;
    onProblem(error);
    return null;
  }
}

function divide(content: string, where: string): { path: string; label: string } {
  const line = content.trimEnd();
  const label = line.slice(Math.max(line.lastIndexOf(' '), line.lastIndexOf('\t'), line.lastIndexOf(',')) + 1);
  const path = line
    .slice(0, line.length - label.length)
    .trimEnd()
    .replace(/,$/, '')
    .trimEnd();
  const isAllPath = isImagePath(unquoted(line));
  const [, one, numbers] = (line.length < LONGEST && /^(.*?)((?:[\s,;|]+\d+){2,})$/.exec(line)) || [];
  if (one !== undefined && isImagePath(unquoted(one.trim()))) {
    throw severalLabels(where, unquoted(one.trim()), numbers!.split(/[\s,;|]+/).slice(1));
  }
  if (path.trim() !== '' && label !== '' && !isAllPath) return { path: path.trim(), label };
  throw new IdatError(
    'data.list.line',
    `${where}: expected "relative/path LABEL", got ${quote(content)}, which has no label; add it to each line, or take the list away where folders are the classes`,
  );
}

const unquoted = (text: string): string => /^(["'])(.*)\1$/.exec(text)?.[2] ?? text;

function withoutRoot(path: string, roots: readonly string[]): string {
  const root = roots.find((one) => path.startsWith(`${one.replace(/\/$/, '')}/`));
  return root === undefined ? path : path.slice(root.length).replace(/^\/+/, '');
}

function parseLabel(text: string, where: string, classCount: number | null): number {
  const limit = classCount ?? MAX_CLASSES;
  const label = Number(text);
  if (!/^-?\d+$/.test(text) || label < 0 || label >= limit) {
    const because = classCount === null ? '' : ` (classes.txt names ${classCount} classes)`;
    throw new IdatError(
      'data.list.label',
      `${where}: expected a label from 0 to ${limit - 1}${because}, got ${quote(text)}${label === limit && classCount !== null ? '; labels are counted from 0' : ''}`,
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
