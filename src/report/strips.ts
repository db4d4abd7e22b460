/** Numbers on a line, as wide as there is room: drawn in per cent of the width, so that text and dots keep their size. */
import { type Html, html, type Piece } from './html.js';
import type { PageColours } from './theme.js';

/** From where to where a line goes. */
export interface Reach {
  readonly low: number;
  readonly high: number;
}

const place = (value: number, { low, high }: Reach): string =>
  `${(100 * Math.min(Math.max((value - low) / (high - low), 0), 1)).toFixed(2)}%`;

const drawn = (name: string, label: string, parts: Piece): Html =>
  html`<svg class="strip${name}" role="img" aria-label="${label}">${parts}</svg>`;

export interface BarStrip {
  readonly value: number;
  readonly interval: Reach;
  /** A line across, such as what all come to. */
  readonly rule?: number;
  readonly label: string;
}

/** A share as a bar with its interval, from 0 to 1. */
export function barStrip({ value, interval, rule, label }: BarStrip): Html {
  const all = { low: 0, high: 1 };
  return drawn('', label, [
    html`<rect class="track" x="0" y="7" width="100%" height="12" rx="3"/>`,
    html`<rect class="bar" x="0" y="7" width="${place(value, all)}" height="12" rx="3"/>`,
    html`<line class="range" x1="${place(interval.low, all)}" x2="${place(interval.high, all)}" y1="13" y2="13"/>`,
    ...[interval.low, interval.high].map(
      (end) => html`<line class="range" x1="${place(end, all)}" x2="${place(end, all)}" y1="9" y2="17"/>`,
    ),
    rule === undefined ? null : ruleAt(rule, all),
  ]);
}

export interface DotStrip {
  readonly dots: readonly { readonly value: number; readonly says: string }[];
  readonly colour: string;
  readonly mean: number | null;
  readonly interval?: Reach | null;
  /** Where nothing differs, if that is within reach. */
  readonly zero?: boolean;
  readonly reach: Reach;
  readonly label: string;
}

/** Every observation as a dot, with the mean as a stroke and an interval as a band. */
export function dotStrip(strip: DotStrip, colours: PageColours): Html {
  const { dots, colour, mean, interval, zero, reach, label } = strip;
  const fill = colours.variable(colour);
  const band = interval && {
    from: place(interval.low, reach),
    width: `${(100 * (interval.high - interval.low)) / (reach.high - reach.low)}%`,
  };
  return drawn(' tall', label, [
    html`<line class="zero" x1="0" x2="100%" y1="22" y2="22" opacity=".35"/>`,
    zero ? html`<line class="zero" x1="${place(0, reach)}" x2="${place(0, reach)}" y1="0" y2="44"/>` : null,
    band ? html`<rect class="band" x="${band.from}" y="11" width="${band.width}" height="22" rx="4"/>` : null,
    mean === null
      ? null
      : html`<line class="mean" x1="${place(mean, reach)}" x2="${place(mean, reach)}" y1="9" y2="35"/>`,
    // each a little lower than the one before, so that equal ones are seen
    dots.map(
      ({ value, says }, i) =>
        html`<circle class="dot" cx="${place(value, reach)}" cy="${22 + (i - (dots.length - 1) / 2) * Math.min(5, 22 / dots.length)}" r="5" fill="${fill}"><title>${says}</title></circle>`,
    ),
  ]);
}

/** A share of all on a line from 0 to 1, its interval as a band; ticks name what lies where. */
export function headlineStrip(value: number, interval: Reach, chance: number, label: string): Html {
  const all = { low: 0, high: 1 };
  return html`${drawn(' tall', label, [
    html`<rect class="track" x="0" y="19" width="100%" height="6" rx="3"/>`,
    html`<rect class="band" x="${place(interval.low, all)}" y="10" width="${(100 * (interval.high - interval.low)).toFixed(2)}%" height="24" rx="5"/>`,
    ruleAt(chance, all, 6, 38),
    html`<circle cx="${place(value, all)}" cy="22" r="7" fill="var(--accent)"/>`,
  ])}${axisStrip([0, 0.25, 0.5, 0.75, 1], all, (share) => `${100 * share} %`)}`;
}

const ruleAt = (value: number, reach: Reach, from = 0, to = 26): Html =>
  html`<line class="rule" x1="${place(value, reach)}" x2="${place(value, reach)}" y1="${from}" y2="${to}"/>`;

/** The numbers below strips of the same reach; where it is narrow, those at its ends alone. */
export const axisStrip = (ticks: readonly number[], reach: Reach, text: (value: number) => string): Html =>
  html`<div class="scale"><svg class="strip axis" aria-hidden="true">${ticks.map((tick, i) => {
    const anchor = i === 0 && tick === reach.low ? 'start' : tick === reach.high ? 'end' : 'middle';
    const end = tick === reach.low || tick === reach.high;
    return html`<text class="${end ? 'end' : 'inner'}" x="${place(tick, reach)}" y="14" text-anchor="${anchor}">${text(tick)}</text>`;
  })}</svg></div>`;

/** Round numbers from below the lowest to above the highest, about `count` of them. */
export function niceTicks(values: readonly number[], count = 4): number[] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const size = Math.max(Math.abs(low), Math.abs(high)) || 1;
  const rough = Math.max(high === low ? size : high - low, 1e-6 * size, 1e-9) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((one) => one >= rough)!;
  const [from, to] = [Math.floor(low / step), Math.ceil(high / step)];
  const last = from === to ? to + 1 : to;
  return Array.from({ length: last - from + 1 }, (_, i) => Number(((from + i) * step).toPrecision(12)));
}
