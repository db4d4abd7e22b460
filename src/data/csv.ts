/**
 * Comma-, semicolon- and tab-separated values. Written here because what is needed is one page: a package for it brings
 * streams, casts and forty options.
 *
 * @see RFC 4180
 */

export interface CsvRow {
  fields: string[];
  /** Where it begins, counted from 1. */
  line: number;
}

/**
 * Rows of a table; what divides fields is what the first line has most of. Fields may stand in double quotes, which
 * double within them; blank lines are skipped, a byte-order mark and any line ends are taken as they come.
 *
 * @throws Error for a quoted field without end
 */
export function parseCsv(text: string): CsvRow[] {
  const content = text.replace(/^\uFEFF/, '');
  const separator = separatorOf(content);
  const rows: CsvRow[] = [];
  let [at, line] = [0, 1];
  while (at < content.length) {
    const row: CsvRow = { fields: [], line };
    for (;;) {
      const field = content[at] === '"' ? quotedField(content, at, line) : plainField(content, at, separator);
      row.fields.push(field.value);
      line += field.lines;
      at = field.end;
      if (content[at] !== separator) break;
      at++;
    }
    if (content[at] === '\r') at++;
    if (content[at] === '\n') at++;
    line++;
    if (row.fields.some((field) => field !== '')) rows.push(row);
  }
  return rows;
}

interface Field {
  value: string;
  /** The position behind it. */
  end: number;
  /** Line ends within it. */
  lines: number;
}

function plainField(content: string, from: number, separator: string): Field {
  let end = from;
  while (end < content.length && content[end] !== separator && content[end] !== '\n' && content[end] !== '\r') end++;
  return { value: content.slice(from, end).trim(), end, lines: 0 };
}

function quotedField(content: string, from: number, line: number): Field {
  const parts: string[] = [];
  for (let at = from + 1; ; ) {
    const quote = content.indexOf('"', at);
    if (quote < 0) throw new Error(`line ${line}: a quoted field has no end`);
    parts.push(content.slice(at, quote));
    if (content[quote + 1] !== '"') {
      const value = parts.join('"');
      // what stands between the closing quote and the next separator can only be blank
      let end = quote + 1;
      while (content[end] === ' ') end++;
      return { value: value.trim(), end, lines: value.split('\n').length - 1 };
    }
    at = quote + 2;
  }
}

function separatorOf(content: string): string {
  const end = content.search(/[\r\n]/);
  const first = end < 0 ? content : content.slice(0, end);
  const count = (separator: string) => first.split(separator).length;
  return ['\t', ';', ','].reduce((best, other) => (count(other) > count(best) ? other : best));
}
