/** The page of one run: how good it is, how it learned, what it takes for what, and how to do it again. */
import { sidesOf } from '../image-size.js';
import { variantName } from '../settings/config.js';
import { looks, PROTOCOLS, type SplitName } from '../settings/protocols.js';
import type { BackboneRecord, EpochMetrics, EpochTiming, RunRecord, RunResult } from '../settings/record.js';
import { median, wilson } from '../statistics/index.js';
import { fullAccuracy, worstClasses } from './accuracy.js';
import { curvePanels } from './curve-panels.js';
import { curveChart } from './curves.js';
import { inlineDrawing } from './drawing.js';
import { type Html, html, type Piece } from './html.js';
import { dataTable, factList, figure, pageText, type Section, tiles } from './page.js';
import { recipe } from './recipe.js';
import { lastName, repeatCommand } from './repeat-command.js';
import { barStrip, headlineStrip } from './strips.js';
import { PageColours } from './theme.js';

/** A chart of an analysis. */
export interface Picture {
  readonly title: string;
  /** What was found, in a line. */
  readonly says: string;
  /** SVG text, or a raster image as a `data:` address for what is too large as shapes. */
  readonly svg: string;
  readonly raster: string | null;
}

export interface RunStory {
  readonly name: string;
  readonly record: RunRecord;
  readonly classes: readonly string[];
  /** Null where it has not ended. */
  readonly result: RunResult | null;
  readonly metrics: readonly EpochMetrics[];
  readonly timings: readonly EpochTiming[];
  /** Images of each split that it read; null where that is not known. */
  readonly images: Readonly<Partial<Record<SplitName, number>>> | null;
  readonly pictures: readonly Picture[];
  /** What should be seen here and is not, and why, a sentence each. */
  readonly missing: readonly string[];
}

const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)}\u00a0%`;
const number = (value: number): string => value.toLocaleString('en');

/** HTML, to stand in a file by itself. */
export function runPage(story: RunStory): string {
  const colours = new PageColours();
  const { record } = story;
  const sections: (Section | null)[] = [
    curves(story, colours),
    classesSection(story),
    pictures(story, colours),
    repeating(story),
    { id: 'models', title: 'Models', body: models(story) },
    { id: 'data', title: 'Data', body: data(story) },
    { id: 'time', title: 'Time', body: time(story) },
  ];
  const { idat, onnxruntime, node } = record.versions;
  return pageText({
    title: story.name,
    kind: 'A run of idat',
    lede: lede(record),
    headline: headline(story),
    sections: sections.filter((section) => section !== null),
    foot: `Trained by idat ${idat} on ONNX Runtime ${onnxruntime}, Node ${node}. This page is one file and loads nothing.`,
    colours,
  });
}

function lede({ settings, data, classes }: RunRecord): Piece {
  const { scratch, student, teacher, method } = settings;
  const on = html`on <b>${lastName(data.source)}</b>, ${classes} classes`;
  if (scratch) return html`A vision transformer trained from random weights ${on}.`;
  const taught = teacher === null ? null : html` and taught by <b>${lastName(teacher)}</b>`;
  const variant = variantName(settings);
  return html`<b>${lastName(student)}</b> tuned by <b>${method}</b>${taught} ${on}${variant === method ? null : html` (${variant})`}.`;
}

function headline({ record, result, metrics, classes, missing }: RunStory): Html {
  const unseen = missing.map((sentence) => html`<p class="note warn">${sentence}</p>`);
  const last = metrics.at(-1);
  if (!result) {
    const { epochs, cooldownEpochs } = record.settings;
    const done = `${metrics.length} of ${epochs + cooldownEpochs} epochs are behind it`;
    return html`<div class="hero"><p class="big">–</p><p class="of">This run has not ended: ${done}. There is no accuracy on the test images yet.</p>${unseen}</div>`;
  }
  const { correct, total, protocol, selectedEpoch, leftOut, trainableParameters: trained, seconds } = result;
  const interval = wilson(correct, total);
  const chance = 1 / classes.length;
  const range = `${(100 * interval.low).toFixed(1)} and ${(100 * interval.high).toFixed(1)}\u00a0%`;
  const left = leftOut ? ` (${leftOut} more could not be read)` : '';
  const shown: [string, string][] = [
    [number(trained.student), `numbers trained, ${number(trained.head)} of them in the head`],
    ...(last
      ? ([[percent(last.trainAccuracy), 'of training images right in the last epoch']] as [string, string][])
      : []),
    ...(typeof last?.teacherTrainAccuracy === 'number'
      ? ([[percent(last.teacherTrainAccuracy), 'of them by the teacher']] as [string, string][])
      : []),
    [duration(seconds), `of training, ${metrics.length} epochs`],
  ];
  return html`<div class="hero">
<p class="big">${(100 * result.accuracy).toFixed(1)}<small>%</small></p>
<p class="of">${number(correct)} of ${number(total)} test images named right${left}</p>
${headlineStrip(result.accuracy, interval, chance, `${fullAccuracy(result)}; guessing gives ${percent(chance)}`)}
<p class="note">The band is what ${number(total)} images leave open: measured on all images of the kind, this model would come to between ${range} (95\u00a0% interval, Wilson). What another seed would give it does not say. Dashed: guessing among ${classes.length} classes, ${percent(chance)}.</p>
<p class="note">Protocol ${PROTOCOLS[protocol].meaning}; the parameters kept are those ${PROTOCOLS[protocol].kept} (epoch ${selectedEpoch + 1}). ${looks(PROTOCOLS[protocol], record.settings.evalEvery)}</p>
${unseen}
${tiles(shown)}
</div>`;
}

function curves({ metrics, record }: RunStory, colours: PageColours): Section | null {
  if (metrics.length === 0) return null;
  const phases = (['select', 'final'] as const).filter((phase) => metrics.some((line) => line.phase === phase));
  const body = phases.map((phase) => {
    const panels = curvePanels(metrics.filter((line) => line.phase === phase));
    const drawings = panels.map(({ title, says, format, curves: lines }, i) =>
      figure({
        title,
        says,
        drawing: inlineDrawing(curveChart(lines, format), { name: `${phase}${i}`, alt: `${title}. ${says}`, colours })!,
      }),
    );
    const name = phase === 'select' ? 'Choosing the number of epochs, trained on train alone' : 'Training what is kept';
    return html`${phases.length > 1 ? html`<p class="note">${name}</p>` : null}<div class="grid">${drawings}</div>`;
  });
  const note = html`<p class="note">Losses and accuracies in training are means over an epoch, of changed images and while the models still learnt.</p>`;
  return { id: 'curves', title: 'How it learned', body: html`${body}${note}${log(metrics, record)}` };
}

function log(metrics: readonly EpochMetrics[], { teacher }: RunRecord): Html {
  const looked = metrics.some(({ testAccuracy, valAccuracy }) => testAccuracy !== null || valAccuracy !== null);
  const columns = [
    ...['epoch', 'loss'],
    ...(teacher ? ['of the teacher', 'distillation'] : []),
    ...['training', 'learning rate'],
    ...(looked ? ['looked at'] : []),
  ];
  const rows = metrics.map(({ phase, epoch, loss, trainAccuracy, lr, testAccuracy, valAccuracy }) => [
    `${epoch + 1}${phase === 'select' ? ' (choosing)' : ''}`,
    loss.student.toFixed(4),
    ...(teacher ? [loss.teacher.toFixed(4), loss.distill.toFixed(4)] : []),
    percent(trainAccuracy),
    lr.toExponential(2),
    ...(looked ? [percentOrNone(testAccuracy ?? valAccuracy)] : []),
  ]);
  const table = dataTable(
    'Every epoch in numbers',
    columns.map((title, i) => ({ title, ...(i > 0 && { kind: 'number' as const }) })),
    rows,
  );
  return html`<details><summary>All ${metrics.length} epochs in numbers</summary><div class="card">${table}</div></details>`;
}

const percentOrNone = (share: number | null): string => (share === null ? '–' : percent(share));

/** More are folded away. */
const SHOWN_CLASSES = 30;

function classesSection({ result, classes }: RunStory): Section | null {
  if (!result?.byClass) return null;
  const counted = result.byClass
    .map((count, i) => ({ ...count, name: classes[i] ?? `class ${i}` }))
    .filter(({ total }) => total > 0)
    .sort((a, b) => a.correct / a.total - b.correct / b.total || b.total - a.total);
  const rows = counted.map(({ name, correct, total }) => {
    const interval = wilson(correct, total);
    const label = `${name}: ${percent(correct / total)}, 95 % interval ${percent(interval.low)} to ${percent(interval.high)}`;
    return [
      name,
      barStrip({ value: correct / total, interval, rule: result.accuracy, label }),
      percent(correct / total, 0),
      `${correct} of ${total}`,
    ];
  });
  const table = (caption: string, some: readonly (readonly Piece[])[]) =>
    dataTable(
      caption,
      [
        { title: 'class' },
        { title: 'right, with its 95 % interval', kind: 'wide' },
        { title: 'right', kind: 'number' },
        { title: 'images', kind: 'number' },
      ],
      some,
    );
  const worst = worstClasses(result, classes);
  const says =
    worst === null
      ? 'No class is clearly harder than the whole: every interval reaches what all classes come to.'
      : `Clearly harder than the whole: ${worst}.`;
  const rest = rows.slice(SHOWN_CLASSES);
  return {
    id: 'classes',
    title: 'Classes',
    body: html`<p class="note">${says} Dashed: all classes together, ${percent(result.accuracy)}. The worst come first.</p>
<div class="card">${table('Test images named right, by class', rows.slice(0, SHOWN_CLASSES))}${
      rest.length === 0
        ? null
        : html`<details><summary>${rest.length} more, that are named better</summary>${table('The other classes', rest)}</details>`
    }</div>`,
  };
}

/** Narrower than this a picture's words cannot be read. */
const LEAST = 560;

function pictures({ pictures: all }: RunStory, colours: PageColours): Section | null {
  if (all.length === 0) return null;
  const figures = all.map(({ title, says, svg, raster }, i) => {
    const alt = `${title}. ${says}`;
    const inline = raster === null ? inlineDrawing(svg, { name: `p${i}`, alt, colours }) : null;
    const drawing = inline ?? html`<img alt="${alt}" src="${raster ?? ''}">`;
    const width = Number(/^<svg[^>]* width="(\d+)/.exec(svg)?.[1] ?? LEAST);
    return figure({ title, says, drawing, least: Math.min(width, Math.max(LEAST, 0.62 * width)) });
  });
  return { id: 'pictures', title: 'What it has learned', body: html`<div class="stack">${figures}</div>` };
}

function repeating({ record }: RunStory): Section {
  const command = repeatCommand(record.settings);
  const shortened = html`<p class="note">Paths are cut to their last name. Where the run’s directory is, <code>idat train --config RUN/config.json</code> does the same with the data and weights where they lay; every setting that is not named has the default of idat ${record.versions.idat}.</p>`;
  return {
    id: 'repeat',
    title: 'How to do it again',
    body: html`<div class="card">${command === null ? null : html`<pre>${command}</pre>`}${factList(recipe(record).map(([name, value]) => [name, shortHashes(value)]))}</div>${command === null ? null : shortened}`,
  };
}

/** A sha256 tells apart by its beginning; all of it stands in the run's config.json. */
const shortHashes = (text: string): string => text.replace(/\b([\da-f]{12})[\da-f]{52}\b/g, '$1…');

function models({ record, result }: RunStory): Html {
  const facts = (role: string, backbone: BackboneRecord, trained: number | null | undefined): Html => {
    const { name, sha256, config, mean, std } = backbone;
    const rows: [string, Piece][] = [
      ['name', lastName(name)],
      ['sizes', sizesOf(config)],
      ['normalisation', `mean ${mean.join(', ')}; standard deviation ${std.join(', ')}`],
      ['sha256', html`<span class="hash">${sha256}</span>`],
    ];
    if (typeof trained === 'number') rows.splice(1, 0, ['numbers trained', number(trained)]);
    return html`<div class="card"><h3>${role}</h3>${factList(rows)}</div>`;
  };
  return html`<div class="stack">${facts('Student', record.student, result?.trainableParameters.student)}${
    record.teacher ? facts('Teacher', record.teacher, result?.trainableParameters.teacher) : null
  }</div>`;
}

/** Whatever of it is there: the file may come from another version. */
function sizesOf(config: Readonly<Record<string, unknown>>): string {
  const size = config.imageSize as Parameters<typeof sidesOf>[0] | undefined;
  const input = typeof size === 'number' || Array.isArray(size) ? [`input ${sidesOf(size).join(' × ')} pixels`] : [];
  const names = {
    family: 'family',
    patchSize: 'patches of',
    width: 'width',
    embedWidth: 'width',
    depth: 'depth',
    depths: 'depths',
    heads: 'heads',
  };
  const told = Object.entries(names).flatMap(([key, name]) => {
    const value = config[key];
    const plain = typeof value === 'number' || typeof value === 'string' || Array.isArray(value);
    return plain ? [`${name} ${Array.isArray(value) ? value.join(', ') : value}`] : [];
  });
  return [...input, ...told].join('; ');
}

const SPLITS: Readonly<Record<SplitName, string>> = {
  train: 'to train on while the length is chosen',
  val: 'to choose the length on',
  trainval: 'to train on',
  test: 'to test on',
};

function data({ record, images, classes, result }: RunStory): Html {
  const counts = Object.entries(images ?? {}).map(([name, count]): [string, Piece] => [
    name,
    `${number(count)} images ${SPLITS[name as SplitName]}`,
  ]);
  const names = classes.slice(0, 40).join(', ') + (classes.length > 40 ? ', …' : '');
  const rows: [string, Piece][] = [
    ['source', lastName(record.data.source)],
    ...counts,
    ...(result?.leftOut ? ([['unreadable', `${result.leftOut} test images`]] as [string, Piece][]) : []),
    ['classes', `${classes.length}: ${names}`],
    ['noted', record.data.note],
    ...Object.entries(record.data.fingerprints).map(([split, print]): [string, Piece] => [
      `fingerprint of ${split}`,
      html`<span class="hash">${print}</span>`,
    ]),
  ];
  return html`<div class="card">${factList(rows)}</div>`;
}

function time({ record, timings, result, metrics }: RunStory): Html {
  const seconds = timings.map((timing) => timing.seconds);
  const spent = seconds.reduce((a, b) => a + b, 0);
  const { device, threads, microBatch, replicas = 1, why } = record.resolved;
  const rows: [string, Piece][] = [
    ['training', result ? duration(result.seconds) : 'not ended'],
    ...(seconds.length > 0
      ? ([
          [
            'an epoch',
            `${duration(median(seconds))} at the median, ${duration(Math.min(...seconds))} to ${duration(Math.max(...seconds))}`,
          ],
          ['epochs', `${metrics.length}, ${duration(spent)} together`],
        ] as [string, Piece][])
      : []),
    [
      'computed on',
      `${device}, ${threads} ${threads === 1 ? 'thread' : 'threads'}${replicas > 1 ? `, ${replicas} calls at a time` : ''}, ${microBatch} images a call`,
    ],
    ...(why === undefined ? [] : ([['chosen because', why]] as [string, Piece][])),
  ];
  return html`<div class="card">${factList(rows)}</div>`;
}

function duration(seconds: number): string {
  if (seconds < 90) return `${seconds < 10 ? seconds.toFixed(1) : seconds.toFixed(0)} s`;
  return seconds < 5400 ? `${(seconds / 60).toFixed(1)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
