/** Tables that fit a terminal. */
import { oneLine, table } from './format.js';

/** Columns of the terminal; what is piped is read elsewhere, where 80 is usual. */
export const terminalWidth = (): number => process.stdout.columns || 80;

/** A cell's middle gives way: names of runs and models differ at both ends. */
export function shorten(text: string, width: number): string {
  if (text.length <= width) return text;
  if (width <= 1) return '…'.slice(0, width);
  const end = Math.floor((width - 1) / 2);
  return `${text.slice(0, width - 1 - end)}…${end === 0 ? '' : text.slice(-end)}`;
}

/** A column that may become narrower. */
export interface Narrowing {
  readonly column: number;
  /** It stays this wide. */
  readonly least: number;
}

/**
 * As `table`, no wider than `width` where that can be.
 * @param narrow columns to shorten, the first first
 */
export function fittingTable(
  content: readonly (readonly string[])[],
  { width = terminalWidth(), words = [0], narrow }: { width?: number; words?: readonly number[]; narrow: Narrowing[] },
): string {
  const rows = content.map((row) => row.map(oneLine));
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  let over = widths.reduce((sum, one) => sum + one, 2 * (widths.length - 1)) - width;
  for (const { column, least } of narrow) {
    const less = Math.max(0, Math.min(over, widths[column]! - Math.max(least, rows[0]![column]!.length)));
    widths[column]! -= less;
    over -= less;
  }
  return table(
    rows.map((row) => row.map((cell, column) => shorten(cell, widths[column]!))),
    words,
  );
}

/** Text in lines no longer than `width`; later lines begin with `indent`. What stands without a space stays whole. */
export function wrapped(text: string, indent = '', width = terminalWidth()): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = indent + word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join('\n');
}
