/** What all charts of an analysis have in common. */
import { COLOURS, GREY, INK, LINES, ROLE_COLOURS } from '../report/theme.js';

export { COLOURS, GREY, INK, LINES, ROLE_COLOURS };

/** Title and subtitle of a chart. */
export const heading = (text: string, subtext = '') => ({
  text,
  subtext,
  left: 16,
  top: 10,
  textStyle: { fontSize: 17, color: INK },
  subtextStyle: { fontSize: 12, color: GREY, lineHeight: 17 },
});

/** A small text that stands by itself. @param left, top of its box, in pixels */
export const note = (text: string, left: number, top: number, style: Record<string, unknown> = {}) => ({
  text,
  left,
  top,
  padding: 0,
  textStyle: { fontSize: 12, fontWeight: 'normal' as const, color: INK, ...style },
});

/** Viridis (van der Walt and Smith 2015): from dark to bright in even steps, also in grey and for any colour vision. */
const VIRIDIS = [
  [68, 1, 84],
  [72, 40, 120],
  [62, 73, 137],
  [49, 104, 142],
  [38, 130, 142],
  [31, 158, 137],
  [53, 183, 121],
  [110, 206, 88],
  [181, 222, 43],
  [253, 231, 37],
] as const;

export const VIRIDIS_COLOURS = VIRIDIS.map(([r, g, b]) => `rgb(${r},${g},${b})`);

/** @param share from 0 to 1 */
export function viridis(share: number): [number, number, number] {
  const at = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1);
  const below = Math.min(Math.floor(at), VIRIDIS.length - 2);
  const [low, high] = [VIRIDIS[below]!, VIRIDIS[below + 1]!];
  const mix = (i: 0 | 1 | 2) => low[i] + (at - below) * (high[i] - low[i]);
  return [mix(0), mix(1), mix(2)];
}

/** At most so many characters. */
export const shortened = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, length - 1)}…`;

/** The end of a path tells more than its beginning. */
export const ending = (path: string, length: number): string =>
  path.length <= length ? path : `…${path.slice(1 - length)}`;
