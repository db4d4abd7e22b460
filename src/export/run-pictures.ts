/** The pictures of a run's analyses, as a report needs them: those that are there and fit the run, and the others made. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ANALYSES, type AnalyseOptions, type AnalysisName, analyse } from '../analysis/node/analyse.js';
import { jpegAddressOfSvg } from '../analysis/node/encode.js';
import { IdatError, nearest, printable } from '../errors.js';
import { inlineDrawing } from '../report/drawing.js';
import type { Picture } from '../report/run-page.js';
import { PageColours } from '../report/theme.js';
import type { OpenedRun } from '../runs/open-run.js';

/** In the order in which they are looked at, by the names of their charts' files. */
const TITLES: Readonly<Record<string, string>> = {
  confusion: 'What is taken for what',
  hardest: 'The hardest images',
  attention: 'Where the models look',
  classes: 'Precision and recall',
  calibration: 'Calibration',
  agreement: 'Student and teacher',
  tsne: 't-SNE',
  umap: 'UMAP',
  weights: 'Weights, block by block',
  'weights-dispersion': 'Spread of the weights',
};
/** Which analyses make more charts than one of their own name. */
const CHARTS: Readonly<Partial<Record<AnalysisName, readonly string[]>>> = {
  weights: ['weights', 'weights-dispersion'],
};

/** A drawing with more characters than this is shown as pixels, so that a page stays small. */
const LARGEST = 600_000;
const WIDEST_RASTER = 1600;
/** No analysis writes a larger one of a data set that can be looked at. */
const LARGEST_FILE = 50 * 2 ** 20;

interface Chart {
  readonly name: string;
  readonly says: string;
  readonly svg: string;
}

export interface PictureOptions extends Omit<AnalyseOptions, 'only' | 'out' | 'onRefused'> {
  /** Analyses that are shown; default: all. */
  readonly only?: readonly AnalysisName[];
  /** Analyses that are left out. */
  readonly without?: readonly AnalysisName[];
}

/**
 * Takes what lies in the run's folder `analysis` where it was made after the run's end on the run's own test images, and makes
 * all else; what is made on the run's own images is kept there.
 * @returns the pictures, and of those that cannot be made why, a sentence each
 * @throws IdatError `analysis.only` for an unknown name, `run.interrupted`
 */
export async function runPictures(
  run: OpenedRun,
  { only, without, ...options }: PictureOptions,
): Promise<{ pictures: Picture[]; missing: string[] }> {
  const hasTeacher = run.plan.models.teacher !== null;
  for (const name of [...(only ?? []), ...(without ?? [])]) checkName(name);
  const wanted = ANALYSES.filter(
    (name) => (only?.includes(name) ?? true) && !without?.includes(name) && (name !== 'agreement' || hasTeacher),
  );
  const own = options.data === undefined;
  const charts: Chart[] = [];
  const toMake: AnalysisName[] = [];
  for (const name of wanted) {
    const found = own ? await foundCharts(run, name) : null;
    if (found) charts.push(...found);
    else toMake.push(name);
  }
  const missing: string[] = [];
  const refuse = (name: string, { message }: Error) => missing.push(`${name} is not shown: ${message}`);
  if (toMake.length > 0) {
    const writable = own ? {} : { out: null };
    const made = await analyse(run.dir, { ...options, ...writable, only: toMake, onRefused: refuse }).catch((error) => {
      if (!(error instanceof IdatError) || options.signal?.aborted) throw error;
      refuse(toMake.join(', '), error);
      return { parts: [] };
    });
    for (const part of made.parts)
      for (const [name, svg] of Object.entries(part.charts)) charts.push({ name, says: part.says, svg });
  }
  const order = Object.keys(TITLES);
  charts.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
  return { pictures: await Promise.all(charts.map(pictureOf)), missing };
}

/** Which analyses of a run are there and fit it, by the titles of their first charts. */
export async function madeAnalyses(
  run: OpenedRun,
): Promise<{ readonly name: AnalysisName; readonly title: string; readonly made: boolean }[]> {
  const names = ANALYSES.filter((name) => name !== 'agreement' || run.plan.models.teacher !== null);
  const order = Object.keys(TITLES);
  const found = names.map(async (name) => ({
    name,
    title: TITLES[name] ?? name,
    made: (await foundCharts(run, name)) !== null,
  }));
  return (await Promise.all(found)).sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
}

/** The pictures of one analysis that is there and fits the run; null where it has to be made. @throws IdatError `analysis.only` */
export async function madePictures(run: OpenedRun, name: string): Promise<Picture[] | null> {
  checkName(name);
  const charts = await foundCharts(run, name as AnalysisName);
  return charts && Promise.all(charts.map(pictureOf));
}

function checkName(name: string): void {
  if ((ANALYSES as readonly string[]).includes(name)) return;
  const near = nearest(name, ANALYSES, 1)[0];
  const what = `unknown analysis '${printable(name)}'; did you mean ${near}?`;
  throw new IdatError('analysis.only', `${what} There are ${ANALYSES.join(', ')}`);
}

async function pictureOf({ name, says, svg }: Chart): Promise<Picture> {
  const raster = svg.length > LARGEST ? await jpegAddressOfSvg(svg, WIDEST_RASTER) : null;
  return { title: TITLES[name] ?? name, says, svg, raster };
}

/** Null where an analysis was not made, or of something else than the run's last state and its own test images. */
async function foundCharts({ dir }: OpenedRun, analysis: AnalysisName): Promise<Chart[] | null> {
  const folder = join(dir, 'analysis');
  const names = CHARTS[analysis] ?? [analysis];
  const there = new Set(await readdir(folder).catch(() => []));
  const timeOf = (path: string) =>
    stat(path)
      .then(({ mtimeMs }) => mtimeMs)
      .catch(() => 0);
  const made = await timeOf(join(folder, `${analysis}.json`));
  const ends = await Promise.all(['student.safetensors', 'result.json'].map((name) => timeOf(join(dir, name))));
  if (made < Math.max(...ends)) return null;
  try {
    const about = JSON.parse(await readFile(join(folder, `${analysis}.json`), 'utf8')) as Record<string, unknown>;
    if (about.analysis !== analysis || typeof about.says !== 'string' || about.ofOtherImages === true) return null;
    const { says } = about;
    const charts: Chart[] = [];
    for (const name of names.filter((one) => there.has(`${one}.svg`))) {
      const path = join(folder, `${name}.svg`);
      if ((await stat(path)).size > LARGEST_FILE) return null;
      const svg = await readFile(path, 'utf8');
      // whoever made the file: a page holds plain drawings alone
      if (!inlineDrawing(svg, { name: 'p', alt: '', colours: new PageColours() })) return null;
      charts.push({ name, says, svg });
    }
    return charts.length > 0 ? charts : null;
  } catch {
    return null;
  }
}
