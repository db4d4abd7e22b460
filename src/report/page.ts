/**
 * The page that reports are: one file of HTML that asks nothing of any other, for phones and desks, light and dark.
 *
 * There is no script in it, and its policy would let none run.
 */
import { Html, html, type Piece } from './html.js';
import type { PageColours } from './theme.js';

export interface Section {
  /** Of its heading, to be linked to. */
  readonly id: string;
  readonly title: string;
  readonly body: Html;
}

export interface Page {
  readonly title: string;
  /** What it is a report of, in a word or two above the title. */
  readonly kind: string;
  /** What was done, in a sentence or two. */
  readonly lede: Piece;
  /** What came out, before all else. */
  readonly headline: Html;
  readonly sections: readonly Section[];
  readonly foot: Piece;
  /** Of the drawings within it. */
  readonly colours: PageColours;
}

const POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/** The whole file. The same report is the same bytes. */
export function pageText({ title, kind, lede, headline, sections, foot, colours }: Page): string {
  const style = new Html(
    `:root{${colours.css('light')}}@media (prefers-color-scheme:dark){:root{${colours.css('dark')}}}${PAGE_STYLE}`,
  );
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>${title} · idat</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<header>
<p class="kind">${kind}</p>
<h1>${title}</h1>
<p class="lede">${lede}</p>
<nav aria-label="Sections"><ul>${sections.map(({ id, title: name }) => html`<li><a href="#${id}">${name}</a></li>`)}</ul></nav>
</header>
<main>
${headline}
${sections.map(({ id, title: name, body }) => html`<section aria-labelledby="${id}"><h2 id="${id}">${name}</h2>${body}</section>\n`)}
</main>
<footer>${foot}</footer>
</body>
</html>
`.text;
}

/** A picture or chart with its title and what it says. */
export interface Figure {
  readonly title: string;
  readonly says?: Piece;
  readonly drawing: Html;
  /** Narrower than this, in pixels, it is not shown: it scrolls in its box instead. */
  readonly least?: number;
}

export const figure = ({ title, says = null, drawing, least }: Figure): Html => html`<figure class="card">
<figcaption><h3>${title}</h3>${says === null ? null : html`<p>${says}</p>`}</figcaption>
${least === undefined ? drawing : scrolling(title, html`<div style="min-width:${least}px">${drawing}</div>`)}
</figure>
`;

/** A box that scrolls by itself where its content is wider than the page; keys reach it too. */
export const scrolling = (name: string, content: Html): Html =>
  html`<div class="scroll" role="region" aria-label="${name}" tabindex="0">${content}</div>`;

export interface Column {
  readonly title: string;
  /** `number`: flush right; `wide`: takes the room that is left, for drawings; default: words. */
  readonly kind?: 'number' | 'wide';
}

/** A table whose first column names its rows. */
export function dataTable(
  caption: string,
  columns: readonly Column[],
  rows: readonly (readonly Piece[])[],
  foot?: readonly Piece[],
): Html {
  const kindOf = (i: number) => columns[i]!.kind ?? 'words';
  const cells = (row: readonly Piece[]) =>
    row.map((cell, i) => (i === 0 ? html`<th scope="row">${cell}</th>` : html`<td class="${kindOf(i)}">${cell}</td>`));
  return scrolling(
    caption,
    html`<table><caption>${caption}</caption>
<thead><tr>${columns.map(({ title }, i) => html`<th scope="col" class="${kindOf(i)}">${title}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${cells(row)}</tr>\n`)}</tbody>
${foot ? html`<tfoot><tr>${foot.map((cell, i) => html`<td class="${kindOf(i)}">${cell}</td>`)}</tr></tfoot>` : null}</table>`,
  );
}

/** Names and what they are. */
export const factList = (facts: readonly (readonly [name: string, value: Piece])[]): Html =>
  html`<dl class="facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;

/** Figures that stand out: a number, and below it what it is. */
export const tiles = (values: readonly (readonly [value: string, says: string])[]): Html =>
  html`<ul class="tiles">${values.map(([value, says]) => html`<li><b>${value}</b> <span>${says}</span></li>`)}</ul>`;

/** What has to be told apart by colour, in words. */
export const legend = (names: readonly { readonly name: string; readonly colour: string }[]): Html =>
  html`<ul class="legend">${names.map(({ name, colour }) => html`<li><i style="background:${colour}"></i>${name}</li>`)}</ul>`;

/** The look of pages; the studio's has it too. */
export const PAGE_STYLE: string = `
:root{color-scheme:light dark;--ground:#f5f4f0;--card:#ffffff;--ink:#1f2226;--soft:#5b6069;--faint:#6a6f78;--line:#e3e1da;--accent:#0067a3;--accent-soft:#0067a322;--warn:#a8460a;--code:#f0eee8}
@media (prefers-color-scheme:dark){:root{--ground:#101114;--card:#1a1c20;--ink:#eceef1;--soft:#a7adb7;--faint:#8f96a1;--line:#2c2f36;--accent:#63b5f2;--accent-soft:#63b5f22e;--warn:#ff9f63;--code:#23262c}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;text-size-adjust:100%;scroll-behavior:smooth}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0;background:var(--ground);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","Noto Sans",Arial,sans-serif;overflow-wrap:anywhere}
header,main,footer{max-width:70rem;margin:0 auto;padding:0 clamp(1rem,4vw,2.5rem)}
header{padding-top:clamp(2rem,6vw,4rem)}
h1,h2,h3,p,ul,dl,figure{margin:0;padding:0}
ul{list-style:none}
.kind{color:var(--accent);font-weight:600;font-size:.8125rem;letter-spacing:.08em;text-transform:uppercase}
h1{font-size:clamp(1.75rem,5.5vw,2.75rem);line-height:1.12;letter-spacing:-.022em;font-weight:680;margin:.3rem 0 .8rem;text-wrap:balance}
.lede{font-size:clamp(1.02rem,2.2vw,1.175rem);color:var(--soft);max-width:46rem;text-wrap:pretty}
.lede b{color:var(--ink);font-weight:600}
nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1.35rem;margin-top:1.4rem;padding-bottom:1.1rem;border-bottom:1px solid var(--line)}
a{color:var(--accent);text-decoration:none;text-underline-offset:.2em}
a:hover{text-decoration:underline}
nav a{font-size:.9375rem;display:inline-block;padding:.2rem 0}
h2{font-size:1.4rem;letter-spacing:-.012em;line-height:1.2;font-weight:650;margin:3.25rem 0 1rem;scroll-margin-top:1rem}
h3{font-size:1rem;font-weight:650;line-height:1.3}
.note{color:var(--soft);font-size:.9375rem;max-width:46rem;margin:.75rem 0;text-wrap:pretty}
.warn{color:var(--warn)}
.card,.hero{background:var(--card);border:1px solid var(--line);border-radius:14px;padding:clamp(1rem,2.6vw,1.5rem);min-width:0}
.hero{margin-top:1.75rem;padding:clamp(1.25rem,4vw,2.25rem)}
.big{font-size:clamp(3.1rem,13vw,5.25rem);font-weight:700;letter-spacing:-.045em;line-height:1;font-variant-numeric:tabular-nums}
.big small{font-size:.5em;font-weight:600;letter-spacing:-.02em;margin-left:.08em}
.of{font-size:1.0625rem;margin-top:.5rem}
.hero .note{margin-bottom:0}
.hero .strip.tall{margin-top:.75rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(8.25rem,100%),1fr));gap:1.1rem 1.5rem;margin-top:1.5rem;padding-top:1.4rem;border-top:1px solid var(--line)}
.tiles b{display:block;font-size:1.3125rem;font-weight:650;letter-spacing:-.015em;font-variant-numeric:tabular-nums;line-height:1.25}
.tiles span{color:var(--soft);font-size:.875rem}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,20rem),1fr));gap:1rem}
.row i{display:inline-block;width:.7rem;height:.7rem;border-radius:50%;margin-right:.5rem;vertical-align:-.04rem}
.stack{display:grid;grid-template-columns:minmax(0,1fr);gap:1rem}
figcaption{margin-bottom:.7rem}
figcaption p::first-letter{text-transform:uppercase}
.grid figure{display:flex;flex-direction:column;justify-content:space-between}
.grid+.card{margin-top:1rem}
figcaption p{color:var(--soft);font-size:.9rem;line-height:1.45;margin-top:.2rem;text-wrap:pretty}
figure svg,figure img{display:block;width:100%;height:auto}
figure .scroll svg,figure .scroll img{width:auto;max-width:100%;margin:0 auto}
figure img{background:#fff;border-radius:6px}
svg text{font-family:inherit}
.scroll{overflow-x:auto;max-width:100%;-webkit-overflow-scrolling:touch;scrollbar-width:thin}
.scroll:focus-visible,a:focus-visible,summary:focus-visible{outline:2px solid var(--accent);outline-offset:3px;border-radius:4px}
table{border-collapse:collapse;width:100%;font-size:.9375rem;font-variant-numeric:tabular-nums;line-height:1.35;overflow-wrap:normal}
caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
th,td{padding:.5rem .75rem;text-align:left;border-bottom:1px solid var(--line);vertical-align:middle}
th:first-child,td:first-child{padding-left:0}
th:last-child,td:last-child{padding-right:0}
thead th{color:var(--soft);font-weight:500;font-size:.8125rem;vertical-align:bottom;white-space:nowrap}
thead .wide{white-space:normal}
tbody tr:last-child>*{border-bottom:0}
tbody th{font-weight:500;max-width:16rem;overflow-wrap:anywhere;min-width:5.5rem}
tfoot td{border-bottom:0;padding-top:0;padding-bottom:0}
.number{text-align:right;white-space:nowrap}
.wide{width:60%;min-width:9rem}
.strip{display:block;width:100%;height:26px;overflow:visible}
.strip.tall{height:44px}
.strip.axis{height:22px}
.strip .track{fill:var(--line);opacity:.55}
.strip .bar{fill:var(--accent);opacity:.82}
.strip .range{stroke:var(--ink);stroke-width:1.6}
.strip .band{fill:var(--accent-soft)}
.strip .rule{stroke:var(--faint);stroke-width:1;stroke-dasharray:3 3}
.strip .zero{stroke:var(--faint);stroke-width:1}
.strip .mean{stroke:var(--ink);stroke-width:2}
.strip text{fill:var(--soft);font-size:11.5px}
.strip .dot{stroke:var(--card);stroke-width:1.25}
.legend{display:flex;flex-wrap:wrap;gap:.3rem 1.25rem;font-size:.9rem;color:var(--soft);margin:0 0 .9rem}
.legend i{display:inline-block;width:.7rem;height:.7rem;border-radius:50%;margin-right:.45rem;vertical-align:-.04rem}
.facts{display:grid;gap:0}
.facts div{display:grid;grid-template-columns:minmax(8rem,13rem) minmax(0,1fr);gap:.2rem 1.25rem;padding:.55rem 0;border-bottom:1px solid var(--line);font-size:.9375rem;line-height:1.45}
.facts div:last-child{border-bottom:0}
dt{color:var(--soft)}
dd{margin:0}
@media (max-width:34rem){.facts div{grid-template-columns:minmax(0,1fr)}}
pre{background:var(--code);border-radius:10px;padding:.9rem 1.1rem;margin:.6rem 0 0;font:.84375rem/1.6 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;white-space:pre-wrap;overflow-wrap:anywhere}
code{font:.92em ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
details{margin-top:1rem}
summary{cursor:pointer;color:var(--accent);font-size:.9375rem;padding:.3rem 0}
details[open] summary{margin-bottom:.5rem}
.hash{color:var(--faint);font-size:.85em}
footer{color:var(--faint);font-size:.875rem;padding-top:2.5rem;padding-bottom:3rem}
@media (max-width:26rem){.card{border-radius:11px}th,td{padding:.45rem .5rem}.wide{min-width:7.5rem}}
.narrow{display:none}
td .scale{container-type:inline-size}
@container (max-width:17rem){.inner{display:none}}
@media (max-width:40rem){.narrow{display:block;font-size:.84375rem;color:var(--soft);white-space:nowrap}td.wide:has(.narrow){min-width:11rem}}
@media print{body{background:#fff}.card,.hero{break-inside:avoid}nav{display:none}}
`;
