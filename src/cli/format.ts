/** Numbers and tables as people read them. */
import { visible } from '../errors.js';

export const percent = (fraction: number): string => `${(100 * fraction).toFixed(1)} %`;

/** m:ss, with hours in front where there are any. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (n: number) => String(n).padStart(2, '0');
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** Text that stays on one line of a terminal. */
export const oneLine = (text: string): string => visible(text).replaceAll('\n', '\\n');

/** Lines of whole words, none longer than `width` unless a word is. */
export function wrapped(text: string, width = 80): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!;
    if (line === '') lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${line} ${word}`;
  }
  return lines.join('\n');
}

/** Columns wide enough for their longest cell, two spaces between; those of words are flush left, the others right. */
export function table(content: readonly (readonly string[])[], words: readonly number[] = [0]): string {
  const rows = content.map((row) => row.map(oneLine));
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => (words.includes(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ');
  return rows.map((row) => line(row).trimEnd()).join('\n');
}

/** Names and values under each other. */
export function facts(values: Readonly<Record<string, string>>): string {
  const width = Math.max(...Object.keys(values).map((name) => name.length));
  return Object.entries(values)
    .map(([name, value]) => `${name.padEnd(width)}  ${oneLine(value)}`)
    .join('\n');
}
