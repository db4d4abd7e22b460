/**
 * The errors idat raises on purpose, and what helps to word them: names that are near, a stranger's text. Imports nothing else of the project.
 */

/** One thing that is wrong with what was given, as data: a form points at its field, a sentence names it. */
export interface Issue {
  /** Where, such as `['options', 'rank']`; empty for the whole. */
  readonly path: readonly (string | number)[];
  /** A stable word: zod's, such as `too_small`, or idat's own. */
  readonly code: string;
  /** What was expected and what came, without the path. */
  readonly message: string;
}

/** What an error knows besides its words. */
export interface IdatErrorOptions extends ErrorOptions {
  readonly issues?: readonly Issue[];
  /** What it is about, by name, such as `{ run: 'runs/pets-1' }`: faces make their advice of it. */
  readonly about?: Readonly<Record<string, string>>;
}

/**
 * An error whose message is meant for the person at the keyboard: what was wrong, where, and what to do.
 * The command line prints `message` alone (no stack) and ends with a non-zero exit code; anything that is not an
 * IdatError is a bug of ours and is shown with its stack.
 */
export class IdatError extends Error {
  override readonly name = 'IdatError';
  /** What is wrong, one by one, where a program may want to point at it. */
  readonly issues: readonly Issue[];
  readonly about: Readonly<Record<string, string>>;

  /** @param code a stable word tests and programs can check, such as `data.list.escape` */
  constructor(
    readonly code: string,
    message: string,
    { issues = [], about = {}, ...options }: IdatErrorOptions = {},
  ) {
    super(visible(message), options);
    this.issues = issues;
    this.about = about;
  }
}

/** The issues in words, a line each: `epochs: expected …, got …`. */
export const inWords = (issues: readonly Issue[]): string =>
  issues.map(({ path, message }) => (path.length > 0 ? `${path.join('.')}: ${message}` : message)).join('\n');

/**
 * Text as a terminal shows it and does not obey it: control and direction characters escaped as JSON would, but for ends of
 * lines, and for the two joiners that scripts and emoji are written with.
 */
export function visible(text: string): string {
  return text.replace(/(?![\n\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (char) =>
    Array.from({ length: char.length }, (_, i) => `\\u${char.charCodeAt(i).toString(16).padStart(4, '0')}`).join(''),
  );
}

/** A stranger's text, made fit for a terminal: control and direction characters escaped, length bounded. */
export function printable(text: string): string {
  const visible = text.slice(0, 100).replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (char) => {
    return `\\u{${char.codePointAt(0)!.toString(16)}}`;
  });
  return text.length > 100 ? `${visible}…` : visible;
}

/** Number of single-character edits between two strings (Levenshtein 1966). */
export function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}

/** The candidates most like `name`, nearest first: what an "unknown name" error should offer. */
export function nearest(name: string, candidates: Iterable<string>, count = 3): string[] {
  const wanted = name.toLowerCase();
  return [...candidates]
    .map((candidate) => ({ candidate, distance: editDistance(wanted, candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, count)
    .map(({ candidate }) => candidate);
}
