/** Colours of charts, and what each becomes on a dark page. */

/**
 * Colours that people of any colour vision tell apart, in the order in which few look best.
 * @see Okabe and Ito 2008, "Color Universal Design"
 */
export const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000', '#b8a800'];

export const ROLE_COLOURS = { student: '#0072b2', teacher: '#d55e00' } as const;

export const INK = '#222222';
export const GREY = '#5f6368';
export const LINES = '#e6e6e6';
export const PAPER = '#ffffff';

/** The same hues, bright enough for a dark ground. */
const BRIGHT: Readonly<Record<string, string>> = {
  '#0072b2': '#56b0f0',
  '#d55e00': '#ff8f4a',
  '#009e73': '#35c99b',
  '#cc79a7': '#e59ac4',
  '#e69f00': '#f5b93a',
  '#56b4e9': '#8ad0f7',
  '#b8a800': '#d6c844',
};

/** Greys change places: paper becomes nearly black, ink nearly white. Other colours stay. @param hex of six digits */
export function darkOf(hex: string): string {
  const bright = BRIGHT[hex];
  if (bright !== undefined) return bright;
  const [r, g, b] = [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)) as [number, number, number];
  if (Math.max(r, g, b) - Math.min(r, g, b) > 24) return hex;
  const level = (r + g + b) / 3 / 255;
  // white falls on the ground of the dark page's cards
  const [low, high] = [
    [0x1a, 0x1c, 0x20],
    [0xf2, 0xf3, 0xf5],
  ] as const;
  const mixed = low.map((from, i) => Math.round(from + (1 - level) * (high[i]! - from)));
  return `#${mixed.map((value) => value.toString(16).padStart(2, '0')).join('')}`;
}

/** The colours that drawings on a page use, as CSS variables: each has a value for light and one for dark. */
export class PageColours {
  readonly #used = new Set<string>();

  /** `var(--c222222)`. @param hex of six or three digits */
  variable(hex: string): string {
    const short = /^#([\da-f])([\da-f])([\da-f])$/i.exec(hex);
    const long = (short ? `#${short[1]}${short[1]}${short[2]}${short[2]}${short[3]}${short[3]}` : hex).toLowerCase();
    this.#used.add(long);
    return `var(--c${long.slice(1)})`;
  }

  /** Declarations of all that were asked for. */
  css(scheme: 'light' | 'dark'): string {
    return [...this.#used]
      .sort()
      .map((hex) => `--c${hex.slice(1)}:${scheme === 'light' ? hex : darkOf(hex)};`)
      .join('');
  }
}
