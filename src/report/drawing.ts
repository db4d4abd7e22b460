/**
 * Charts within a page: SVG text is read tag by tag and written anew with nothing in it that is not known, its colours as
 * variables that follow the page's theme, its names made its own. Files of charts may come from a stranger.
 */
import { escapeHtml, Html } from './html.js';
import type { PageColours } from './theme.js';

const ELEMENTS = new Set(
  'svg g path text tspan rect circle line polyline polygon ellipse defs clipPath linearGradient stop image'.split(' '),
);

const NUMBER = String.raw`-?[\d.]+(?:e-?\d+)?(?:px|%)?`;
const WORDS = /^[\w .,()#%+-]*$/;
/** What may stand in an attribute; attributes that are not named here are left out. */
const ATTRIBUTES: Readonly<Record<string, RegExp>> = {
  ...Object.fromEntries(
    'x y x1 x2 y1 y2 cx cy r rx ry width height offset opacity fill-opacity stroke-opacity stop-opacity stroke-width stroke-miterlimit stroke-dashoffset font-size'
      .split(' ')
      .map((name) => [name, new RegExp(`^${NUMBER}$`)]),
  ),
  ...Object.fromEntries(
    'd points transform viewBox stroke-dasharray stroke-linecap stroke-linejoin text-anchor dominant-baseline font-weight font-family gradientUnits gradientTransform fill-rule'
      .split(' ')
      .map((name) => [name, WORDS]),
  ),
  style: /^(?:font-(?:size|family|weight|style):[\w .,'-]+;?)*$/,
};
const COLOURED = new Set(['fill', 'stroke', 'stop-color']);
const OWN_NAME = /^[\w-]+$/;
const REFERENCE = /^url\(#([\w-]+)\)$/;
const PICTURE = /^data:image\/(?:jpeg|png);base64,[A-Za-z\d+/=]+$/;
const FONT_FAMILY = /font-family:[^;"]*;?/g;

interface Drawn {
  /** Sets the names within this drawing apart from those of others on the page. */
  readonly name: string;
  /** What it shows, for those who do not see it. */
  readonly alt: string;
  readonly colours: PageColours;
}

/** The drawing as a part of a page; null for what is no plain drawing of shapes, texts and pictures. */
export function inlineDrawing(svg: string, { name, alt, colours }: Drawn): Html | null {
  const text = svg.replace(/<style\s*><!\[CDATA\[[^<]*\]\]>\s*<\/style>/g, '');
  const names = new Map<string, string>();
  // counted anew, so that the same drawing is the same text whenever it was made
  const rename = (given: string): string => {
    if (!names.has(given)) names.set(given, `${name}-${names.size}`);
    return names.get(given)!;
  };
  const out: string[] = [];
  const open: string[] = [];
  let at = 0;
  for (const tag of text.matchAll(/<(\/?)([A-Za-z]+)((?:\s+[\w:-]+="[^"<>]*")*)\s*(\/?)>/g)) {
    if (!copyText(text.slice(at, tag.index), open.at(-1))) return null;
    at = tag.index + tag[0].length;
    const [, close, element, given, empty] = tag as unknown as [string, string, string, string, string];
    if (!ELEMENTS.has(element)) return null;
    if (close) {
      if (open.pop() !== element) return null;
      out.push(`</${element}>`);
      continue;
    }
    if ((open.length === 0) !== (element === 'svg') || (open.length === 0 && out.length > 0)) return null;
    const own = attributesOf(given, rename, colours);
    if (own === null) return null;
    const root = open.length === 0 ? ` role="img" aria-label="${escapeHtml(alt)}"` : '';
    out.push(`<${element}${root}${own}${empty ? '/' : ''}>`);
    if (!empty) open.push(element);
  }
  if (open.length > 0 || text.slice(at).trim() !== '' || out.length === 0) return null;
  return new Html(out.join('').replace(/<path[^>]* fill="none"(?! [^>]*stroke=)[^>]*><\/path>/g, ''));

  /** False where there is text that XML would not hold, or text where none belongs. */
  function copyText(between: string, within: string | undefined): boolean {
    if (within !== 'text' && within !== 'tspan') return between.trim() === '';
    if (/[<>]|&(?!(?:amp|lt|gt|quot|apos|#39|#x27|nbsp);)/.test(between)) return false;
    out.push(between);
    return true;
  }
}

type Rename = (name: string) => string;

/** Null where an attribute holds what it may not. */
function attributesOf(given: string, rename: Rename, colours: PageColours): string | null {
  const kept: string[] = [];
  for (const [, attribute, value] of given.matchAll(/([\w:-]+)="([^"]*)"/g) as Iterable<[string, string, string]>) {
    const written = writtenValue(attribute, value, rename, colours);
    if (written === null) return null;
    if (written !== undefined) kept.push(` ${attribute}="${written}"`);
  }
  return kept.join('');
}

/** Undefined: to be left out; null: it holds what it may not. */
function writtenValue(
  attribute: string,
  value: string,
  rename: Rename,
  colours: PageColours,
): string | null | undefined {
  if (COLOURED.has(attribute)) return colourOf(value, rename, colours);
  if (attribute === 'id') return OWN_NAME.test(value) ? rename(value) : null;
  if (attribute === 'clip-path') return referenceIn(value, rename);
  if (attribute === 'href') return PICTURE.test(value) ? value : null;
  if (!Object.hasOwn(ATTRIBUTES, attribute)) return undefined;
  if (!ATTRIBUTES[attribute]!.test(value)) return null;
  if (attribute === 'font-family') return undefined;
  if (attribute !== 'style') return value;
  return value.replace(FONT_FAMILY, '') || undefined;
}

/** Six or three digits follow the theme; `rgb(…)` is what it says in any. */
function colourOf(value: string, rename: Rename, colours: PageColours): string | null {
  if (/^#(?:[\da-f]{3}|[\da-f]{6})$/i.test(value)) return colours.variable(value);
  if (/^(?:none|transparent|rgba?\([\d., ]+\))$/.test(value)) return value;
  return referenceIn(value, rename);
}

function referenceIn(value: string, rename: Rename): string | null {
  const found = REFERENCE.exec(value);
  return found ? `url(#${rename(found[1]!)})` : null;
}
