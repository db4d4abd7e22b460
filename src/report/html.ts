/** HTML of words that others chose: whatever is put into a template is escaped, unless it is HTML already. */
import { visible } from '../errors.js';

/** Text that is HTML. Made by `html`, so that nobody's words get into it unescaped. */
export class Html {
  constructor(readonly text: string) {}
}

/** What a template takes: text and numbers are escaped, nothing is left out, lists follow each other. */
export type Piece = Html | string | number | null | readonly Piece[];

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text as it stands in HTML between tags or in a quoted attribute; control and direction characters are spelt out. */
export const escapeHtml = (text: string): string => visible(text).replace(/[&<>"']/g, (char) => ESCAPES[char]!);

/** `html`<td>${name}</td>``: every attribute's value must stand in quotes. */
export const html = (strings: TemplateStringsArray, ...pieces: readonly Piece[]): Html =>
  new Html(strings.map((string, i) => string + textOf(pieces[i] ?? null)).join(''));

function textOf(piece: Piece): string {
  if (piece === null) return '';
  if (piece instanceof Html) return piece.text;
  if (typeof piece === 'object') return piece.map(textOf).join('');
  return escapeHtml(`${piece}`);
}
