/**
 * Telling images of several labels from classes with odd names: idat trains single-label classifiers, and a class called
 * `cat|dog` would be learnt without a word.
 */
import { IdatError, printable } from '../errors.js';

/** What every refusal of several labels ends with. */
export const SINGLE_LABEL = 'idat trains single-label classifiers: give each image one label, or leave it out';

/** @param where list or table, and line */
export const severalLabels = (where: string, image: string, labels: readonly string[]): IdatError =>
  new IdatError(
    'data.multi-label',
    `${where}: ${printable(image)} has several labels (${labels.map(printable).join(', ')}); ${SINGLE_LABEL}`,
  );

/**
 * The labels of which some are several in one, by the labels there are besides. `|` and lists in brackets are always
 * several. With a comma or a semicolon within it a label may be a name (`maillot, tank suit`), and is several only if each
 * of its parts is found in another label too, and one of them by itself or in another place.
 *
 * @param labels as they stand in a column, repeated or not
 * @param blanks whether blanks divide labels too, which in a column of classes they do not (`great white shark`)
 * @returns the parts of each label that is several
 */
export function severalIn(labels: Iterable<string>, blanks = false): ReadonlyMap<string, readonly string[]> {
  const known = new Set(labels);
  const found = new Map<string, string[]>();
  for (const label of known) {
    const certain = certainParts(label);
    if (certain) found.set(label, certain);
  }
  for (const [label, parts] of freeCombinations(known, blanks ? /[\s,;]+/ : /\s*[,;]\s*/)) {
    if (!found.has(label)) found.set(label, parts);
  }
  return found;
}

function certainParts(label: string): string[] | null {
  const listed = /^\[(.*,.*)\]$/s.exec(label)?.[1]?.split(',') ?? label.split('|');
  const parts = listed.map((part) => part.trim().replace(/^(["'])(.*)\1$/s, '$2')).filter((part) => part !== '');
  return parts.length > 1 ? parts : null;
}

function freeCombinations(labels: ReadonlySet<string>, separator: RegExp): Map<string, string[]> {
  /** In how many labels a part is found, and in which places. */
  const found = new Map<string, { labels: number; positions: Set<number> }>();
  const combined = new Map<string, string[]>();
  for (const label of labels) {
    const parts = label.split(separator).filter((part) => part !== '');
    if (new Set(parts).size < parts.length) continue;
    if (parts.length > 1) combined.set(label, parts);
    for (const [position, part] of parts.entries()) {
      const about = found.get(part) ?? { labels: 0, positions: new Set() };
      about.labels++;
      about.positions.add(position);
      found.set(part, about);
    }
  }
  const elsewhere = (part: string) => found.get(part)!.labels > 1;
  const moves = (part: string) => labels.has(part) || found.get(part)!.positions.size > 1;
  return new Map([...combined].filter(([, parts]) => parts.every(elsewhere) && parts.some(moves)));
}

/** Whether all values of a column say yes or no, as columns with a class each do. */
export const isYesOrNo = (values: readonly (string | undefined)[]): boolean =>
  values.length > 0 && values.every((value) => /^(-?1|0|[01]\.0|true|false|yes|no)?$/i.test(value ?? ''));
