/** Contact sheets: pictures in rows and columns with words around them, as SVG that holds its pictures. */
import { GREY, INK, shortened, VIRIDIS_COLOURS } from './style.js';

/** A picture with what stands below it. */
export interface Tile {
  /** A data: address. */
  readonly href: string;
  /** One line each. */
  readonly captions: readonly string[];
  /** Coloured line around it. */
  readonly frame?: string;
}

export interface Sheet {
  readonly title: string;
  readonly subtitle: readonly string[];
  /** Above each column; may be empty. */
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Tile[])[];
  /** Side of a picture, in pixels. */
  readonly side: number;
  /** What the two ends of the colours mean; without it there is no scale. */
  readonly scale?: readonly [low: string, high: string];
}

const MARGIN = 20;
const GAP = 12;
const LINE = 15;
const NARROWEST = 560;

export function drawSheet({ title, subtitle, columns, rows, side, scale }: Sheet): string {
  const most = Math.max(...rows.map((row) => row.length));
  const lines = Math.max(0, ...rows.flat().map(({ captions }) => captions.length));
  const rowHeight = side + 6 + lines * LINE + GAP;
  const top = 40 + subtitle.length * 17 + 14 + (columns.length > 0 ? 20 : 0);
  const width = Math.max(2 * MARGIN + most * (side + GAP) - GAP, NARROWEST);
  const height = top + rows.length * rowHeight + MARGIN + (scale ? 34 : 0);
  const text = (x: number, y: number, words: string, style = '') =>
    `<text x="${x}" y="${y}" ${style || `font-size="11.5" fill="${INK}"`}>${escaped(words)}</text>`;
  const roomFor = Math.floor(side / 6.2);
  const parts = [
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    text(MARGIN, 32, title, `font-size="17" font-weight="bold" fill="${INK}"`),
    ...subtitle.map((line, i) => text(MARGIN, 54 + i * 17, line, `font-size="12" fill="${GREY}"`)),
    ...columns.map((name, c) => text(MARGIN + c * (side + GAP), top - 8, name, `font-size="12" fill="${INK}"`)),
  ];
  rows.forEach((row, r) => {
    row.forEach(({ href, captions, frame }, c) => {
      const [x, y] = [MARGIN + c * (side + GAP), top + r * rowHeight];
      parts.push(`<image x="${x}" y="${y}" width="${side}" height="${side}" href="${href}" xlink:href="${href}"/>`);
      if (frame) {
        parts.push(
          `<rect x="${x - 2}" y="${y - 2}" width="${side + 4}" height="${side + 4}" fill="none" stroke="${frame}" stroke-width="3"/>`,
        );
      }
      captions.forEach((line, i) => {
        const style = i === 0 ? '' : `font-size="11.5" fill="${GREY}"`;
        parts.push(text(x, y + side + 6 + (i + 0.8) * LINE, shortened(line, roomFor), style));
      });
    });
  });
  if (scale) parts.push(scaleOf(scale, height - MARGIN - 12, text));
  const names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"';
  const size = `width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`;
  return `<svg ${names} ${size} font-family="sans-serif">\n${parts.join('\n')}\n</svg>\n`;
}

function scaleOf([low, high]: readonly [string, string], y: number, text: (x: number, y: number, t: string) => string) {
  const step = 18;
  const start = MARGIN + 7 * low.length + 8;
  const bars = VIRIDIS_COLOURS.map(
    (colour, i) => `<rect x="${start + i * step}" y="${y - 10}" width="${step}" height="12" fill="${colour}"/>`,
  );
  return [text(MARGIN, y, low), ...bars, text(start + bars.length * step + 8, y, high)].join('\n');
}

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** Names of files and classes are a stranger's; characters that XML cannot hold are left out. */
const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (char) => ESCAPES[char]!).replace(/[\p{Cc}\p{Cs}\ufffe\uffff]/gu, '');
