/** A run by itself, as the page shows it. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { IdatError } from '../errors.js';
import { madeAnalyses, madePictures } from '../export/run-pictures.js';
import { holderHere } from '../files/node/lock.js';
import { sidesOf } from '../image-size.js';
import { fullAccuracy, worstClasses } from '../report/accuracy.js';
import { inlineDrawing } from '../report/drawing.js';
import { recipe } from '../report/recipe.js';
import { lastName, repeatCommand, shellWord } from '../report/repeat-command.js';
import type { Picture } from '../report/run-page.js';
import { PageColours } from '../report/theme.js';
import { RUN_LOCK } from '../runs/claim-directory.js';
import type { ListedRun } from '../runs/list-runs.js';
import { type OpenedRun, openRun } from '../runs/open-run.js';
import { canonical } from '../settings/config.js';
import { fieldRecords } from '../settings/fields.js';
import { PROTOCOLS } from '../settings/protocols.js';
import type { BackboneRecord } from '../settings/record.js';
import { wilson } from '../statistics/index.js';
import type { Fact, RunDetail, ShownPictures } from './page/api.js';
import { shownRun } from './studio-folder.js';

/** @param typed how a path is typed @throws IdatError as `openRun` */
export async function runDetail(listed: ListedRun, typed: (path: string) => string): Promise<RunDetail> {
  const run = await openRun(listed.dir);
  const { record, classes, result } = run;
  const interval = result && wilson(result.correct, result.total);
  const byClass = (result?.byClass ?? []).flatMap(({ correct, total }, i) => {
    if (total === 0) return [];
    const { low, high } = wilson(correct, total);
    return [{ name: classes[i] ?? `class ${i}`, correct, total, low, high }];
  });
  return {
    run: shownRun(listed),
    classes,
    accuracy: result && fullAccuracy(result, 'test images'),
    interval: interval && { low: interval.low, high: interval.high },
    worst: result && worstClasses(result, classes),
    byClass: byClass.sort((a, b) => a.correct / a.total - b.correct / b.total || b.total - a.total),
    facts: factsOf(run),
    card: cardOf(run),
    command: repeatCommand(record.settings, typed),
    resumeCommand: `idat resume ${shellWord(typed(listed.dir))}`,
    stopCommand: await stopCommand(listed.dir),
    settings: formSettings(run),
    analyses: await madeAnalyses(run),
    hasReport: await isReport(run),
  };
}

/** A training that is asked to end by the system saves first. */
async function stopCommand(dir: string): Promise<string | null> {
  const pid = await holderHere(join(dir, RUN_LOCK));
  return pid === null ? null : `kill ${pid}`;
}

const number = (value: number): string => value.toLocaleString('en');

function factsOf({ record, result, classes }: OpenedRun): Fact[] {
  const { settings, data } = record;
  const facts: (Fact | null)[] = [
    ['data', `${lastName(data.source)}, ${classes.length} classes`],
    ['student', lastName(settings.student)],
    settings.teacher === null ? null : ['teacher', lastName(settings.teacher)],
    ['protocol', PROTOCOLS[settings.protocol].meaning],
    result && [
      'numbers trained',
      `${number(result.trainableParameters.student)}, ${number(result.trainableParameters.head)} of them in the head`,
    ],
    result && ['epoch that is kept', `${result.selectedEpoch + 1}, ${PROTOCOLS[result.protocol].kept}`],
  ];
  return facts.filter((fact) => fact !== null);
}

function cardOf({ record, result, classes }: OpenedRun): RunDetail['card'] {
  const { idat, onnxruntime, node } = record.versions;
  const { resolved, data } = record;
  return [
    { title: 'How it was made', facts: recipe(record) },
    { title: 'Student', facts: backboneFacts(record.student, result?.trainableParameters.student) },
    ...(record.teacher
      ? [{ title: 'Teacher', facts: backboneFacts(record.teacher, result?.trainableParameters.teacher) }]
      : []),
    {
      title: 'Data and machine',
      facts: [
        ['data', lastName(data.source)],
        ['note', data.note],
        ['classes', classes.length <= 40 ? classes.join(', ') : `${classes.length}`],
        ['machine', `${resolved.device}, ${resolved.threads} threads, ${resolved.microBatch} images a call`],
        ['versions', `idat ${idat}, ONNX Runtime ${onnxruntime}, Node ${node}`],
      ],
    },
  ];
}

function backboneFacts(backbone: BackboneRecord, trained: number | null | undefined): Fact[] {
  const { name, sha256, config, mean, std } = backbone;
  const size = config.imageSize as Parameters<typeof sidesOf>[0] | undefined;
  return [
    ['name', lastName(name)],
    ...(typeof trained === 'number' ? ([['numbers trained', number(trained)]] as Fact[]) : []),
    ...(size === undefined ? [] : ([['input', `${sidesOf(size).join(' × ')} pixels`]] as Fact[])),
    ['normalisation', `mean ${mean.join(', ')}; standard deviation ${std.join(', ')}`],
    ['sha256', sha256],
  ];
}

/** What differs from the defaults, so that a form filled in with it makes the same run. */
function formSettings({ record: { settings } }: OpenedRun): Record<string, unknown> {
  const given = fieldRecords().flatMap(([name, { schema, shorthand, changes, taught }]) => {
    const value = (settings as unknown as Record<string, unknown>)[name];
    const unwanted = shorthand || changes === 'speed' || name === 'out' || value === undefined;
    if (unwanted || (taught && settings.teacher === null)) return [];
    if (name !== 'data' && canonical(value) === canonical(schema.safeParse(undefined).data)) return [];
    return [[name, value] as const];
  });
  return Object.fromEntries(given);
}

/** Written after the run's last change. */
async function isReport({ dir, result }: OpenedRun): Promise<boolean> {
  const timeOf = (name: string) =>
    stat(join(dir, name)).then(
      ({ mtimeMs }) => mtimeMs,
      () => 0,
    );
  const [report, end] = [await timeOf('report.html'), await timeOf(result ? 'result.json' : 'metrics.jsonl')];
  return report > 0 && report >= end;
}

/** Narrower than this a picture's words cannot be read. */
const LEAST = 560;

/** The drawings of one analysis; null where it has to be made. @throws IdatError as `openRun`, `analysis.only` */
export async function analysisPictures({ dir }: ListedRun, name: string): Promise<ShownPictures | null> {
  const made = await madePictures(await openRun(dir), name);
  if (!made) return null;
  const colours = new PageColours();
  const pictures = made.map(({ title, says, svg, raster }: Picture, i) => {
    const about = { name: `${name}${i}`, alt: `${title}. ${says}`, colours };
    const drawing = raster === null ? (inlineDrawing(svg, about)?.text ?? null) : null;
    if (drawing === null && raster === null) {
      throw new IdatError('analysis.drawing', `${name}: this picture is no plain drawing, and is not shown`);
    }
    const width = Number(/^<svg[^>]* width="(\d+)/.exec(svg)?.[1] ?? LEAST);
    return { title, says, drawing, raster, least: Math.min(width, Math.max(LEAST, 0.62 * width)) };
  });
  return { pictures, light: colours.css('light'), dark: colours.css('dark') };
}
