/** Reports: what a run or a sweep came to, as one page to look at. */
import { stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { IdatError } from '../errors.js';
import { writeFileAtomic } from '../files/node/atomic-write.js';
import { runPage } from '../report/run-page.js';
import { writeEvents } from '../runs/event-file.js';
import { type OpenedRun, openRun } from '../runs/open-run.js';
import { readMetrics, readTimings } from '../runs/run-directory.js';
import { readSplit } from '../runs/split-file.js';
import type { SplitName } from '../settings/protocols.js';
import { refuseOverwriting } from './refuse-overwriting.js';
import { type PictureOptions, runPictures } from './run-pictures.js';
import { sweepReport } from './sweep-report.js';

export interface ReportOptions extends PictureOptions {
  /** The file; default: `report.html` in the run or the sweep's folder. */
  readonly out?: string;
  /** Of a sweep: the row that all others are held against; default: as its plan says, or its first. */
  readonly against?: string;
  /**
   * Folder for event files of TensorBoard, beside the page: of a sweep one folder a run, by its name; default: none is written.
   */
  readonly tensorboard?: string;
}

export interface Report {
  readonly of: 'run' | 'sweep';
  /** The file of HTML. */
  readonly path: string;
  readonly bytes: number;
  /** What is not shown, and why, a sentence each. */
  readonly missing: readonly string[];
  /** Event files of TensorBoard. */
  readonly events: readonly string[];
}

/**
 * Writes one file of HTML that asks nothing of any other. Of a run: its accuracy with its interval, curves, classes, what
 * `analyse` finds, and the command that repeats it. Of a sweep's folder: all runs, their differences with intervals, their curves.
 *
 * @param path a run's directory, or the folder of a sweep
 * @throws IdatError `run.missing` where there is neither, `report.out` when the file cannot be written, `analysis.only`,
 *   `report.against`, `report.sweep`, `report.tensorboard`, `export.overwrites`, `run.interrupted`, and as `openRun`
 */
export async function report(path: string, options: ReportOptions = {}): Promise<Report> {
  const { out, against, tensorboard, ...rest } = options;
  const file = resolve(out ?? join(path, 'report.html'));
  if (await isFile(join(path, 'results.jsonl'))) {
    refuseForSweep(path, file, rest);
    const { html, missing, runs } = await sweepReport(path, against);
    const written = await write(file, html);
    return { of: 'sweep', ...written, missing, events: await writeAllEvents(runs, tensorboard) };
  }
  if (against !== undefined) {
    throw new IdatError('report.against', `${path}: is a single run, in which no row is held against another`);
  }
  const { student, teacher } = rest;
  const run = await openRun(path, { ...(student && { student }), ...(teacher && { teacher }) });
  await refuseOverwriting(run, [file]);
  const { html, missing } = await runReport(run, rest);
  const written = await write(file, html);
  return { of: 'run', ...written, missing, events: await writeAllEvents([{ name: '', dir: run.dir }], tensorboard) };
}

/** What a sweep's folder keeps, and what its report has not. */
function refuseForSweep(path: string, file: string, { only, without, data }: PictureOptions): void {
  if ((only ?? without ?? data) !== undefined) {
    const what = 'is the folder of a sweep, of which no analyses are shown';
    throw new IdatError('report.sweep', `${path}: ${what}; leave only, without and data out`);
  }
  const kept = ['results.jsonl', 'results.csv', 'sweep.json'].map((name) => resolve(path, name));
  if (kept.includes(file)) {
    throw new IdatError(
      'export.overwrites',
      `${file}: is a file of the sweep, which is still needed; write to another file`,
    );
  }
}

async function runReport(run: OpenedRun, options: PictureOptions): Promise<{ html: string; missing: string[] }> {
  const { dir, record, classes, result } = run;
  // what is kept of a run is known at its end
  const { pictures, missing } = result ? await runPictures(run, options) : { pictures: [], missing: [] };
  const split = await readSplit(dir);
  const counts = Object.entries(split?.splits ?? {}).map(([name, images]) => [name, images.length]);
  const images = split && (Object.fromEntries(counts) as Partial<Record<SplitName, number>>);
  const [metrics, timings] = [await run.metrics(), await readTimings(dir)];
  const html = runPage({
    ...{ name: basename(dir), record, classes, result, metrics, timings, images, pictures, missing },
  });
  return { html, missing };
}

/** One event file a run, of what it has logged. */
async function writeAllEvents(
  runs: readonly { readonly name: string; readonly dir: string }[],
  folder: string | undefined,
): Promise<string[]> {
  const files: string[] = [];
  if (folder === undefined) return files;
  for (const { name, dir } of runs) {
    // a name is a stranger's text: it leads nowhere but below the folder
    const place = join(resolve(folder), ...name.split(/[\\/]/).filter((step) => !/^\.*$/.test(step)));
    files.push(await writeEvents(dir, place, await readMetrics(dir), await readTimings(dir)));
  }
  return files;
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );

async function write(path: string, html: string): Promise<Pick<Report, 'path' | 'bytes'>> {
  await writeFileAtomic(path, html).catch((error: unknown) => {
    const { code } = ((error as Error).cause ?? error) as NodeJS.ErrnoException;
    throw new IdatError('report.out', `${path}: the report cannot be written there (${code}); choose another file`, {
      cause: error,
    });
  });
  return { path, bytes: Buffer.byteLength(html) };
}
