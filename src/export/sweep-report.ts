/** A sweep's folder as a page: its results, what its plan held against what, and the logs of its runs. */
import { basename, resolve } from 'node:path';
import { z } from 'zod';
import { IdatError, nearest, printable } from '../errors.js';
import { readResults } from '../experiments/results.js';
import { readSummary } from '../experiments/summary.js';
import { linesOf, type SweptRuns } from '../report/sweep-figures.js';
import { type StoryRun, type SweepStory, sweepPage } from '../report/sweep-page.js';
import { listRuns } from '../runs/list-runs.js';
import { readMetrics } from '../runs/run-directory.js';
import { readSplit } from '../runs/split-file.js';
import type { EpochMetrics } from '../settings/record.js';

/** What of a line of results.jsonl is told; the file may be a stranger's. */
const Result = z.object({
  name: z.string(),
  task: z.string(),
  row: z.string().nullable().default(null),
  paperRow: z.number().nullable().default(null),
  seed: z.number(),
  accuracy: z.number().min(0).max(1),
  correct: z.int().min(0),
  total: z.int().min(1),
  trainAccuracy: z.number().min(0).max(1).nullable(),
  protocol: z.string(),
  seconds: z.number().min(0),
  run: z.string(),
});

/** @throws IdatError `run.missing` where no run has ended, `report.against` for a row that is not there */
export async function sweepReport(
  folder: string,
  against: string | undefined,
): Promise<{ html: string; missing: string[]; runs: { name: string; dir: string }[] }> {
  const lines = await readResults(folder);
  const read = lines.flatMap((line) => Result.safeParse(line).data ?? []);
  const missing: string[] = [];
  const others = lines.length - read.length;
  if (others > 0)
    missing.push(
      `${others} ${others === 1 ? 'line of results.jsonl is' : 'lines of results.jsonl are'} none of idat’s`,
    );
  if (read.length === 0)
    throw new IdatError('run.missing', `${folder}: no run of this sweep has ended; nothing to report`);
  const results: StoryRun[] = [];
  for (const { run, ...result } of read) {
    const metrics = await readMetrics(resolve(folder, run)).catch((): EpochMetrics[] => []);
    if (metrics.length === 0) missing.push(`${result.name}: its log is not there, so that its curves are not shown`);
    results.push({ ...result, metrics, imagesPerClass: await imagesPerClass(resolve(folder, run)) });
  }
  const summary = await readSummary(folder);
  const plan = { ...summary?.plan, ...heldAgainst(results, against ?? summary?.plan.against) };
  const story: SweepStory = {
    ...{ name: basename(resolve(folder)), plan, results, missing },
    failed: await withoutResult(folder, read, summary?.failed ?? []),
  };
  return { html: sweepPage(story), missing, runs: read.map(({ name, run }) => ({ name, dir: resolve(folder, run) })) };
}

/** Of those that the accuracy's model learned from; null where the run does not tell. */
async function imagesPerClass(dir: string): Promise<number | null> {
  const split = await readSplit(dir).catch(() => null);
  const images = split?.splits.trainval ?? split?.splits.train;
  if (!images) return null;
  return Math.round(images.length / new Set(images.map(([, label]) => label)).size);
}

/** As asked for; where nobody says, the first row that is there, where there are several. */
function heldAgainst(
  results: readonly StoryRun[],
  against: SweptRuns['plan']['against'],
): Pick<SweptRuns['plan'], 'against'> {
  const lines = linesOf(results);
  if (against === undefined) return lines.length > 1 ? { against: lines[0]!.label } : {};
  const names = lines.flatMap(({ folder, row }) => [...(row === null ? [] : [row]), folder]);
  if (typeof against !== 'string' || names.includes(against)) return { against };
  const near = nearest(against, new Set(names), 2).join(' or ');
  throw new IdatError('report.against', `the sweep has no row ${printable(against)}; did you mean ${near}?`);
}

/** Runs that failed, as the sweep told of them, and those that lie there without a result. */
async function withoutResult(
  folder: string,
  results: readonly { readonly name: string; readonly run: string }[],
  told: readonly { readonly name: string; readonly message: string }[],
): Promise<SweepStory['failed']> {
  const ended = new Set(results.flatMap(({ name, run }) => [name, run]));
  const failed = told.filter(({ name }) => !ended.has(name));
  const known = new Set(failed.map(({ name }) => name));
  const others = (await listRuns(folder, { depth: 4 }))
    .filter(({ name, result }) => result === null && !ended.has(name) && !known.has(name))
    .map(({ name, state, problem, progress }) => {
      const far = progress ? ` after ${progress.epochs} of ${progress.of} epochs` : '';
      return { name, message: problem ?? (state === 'running' ? `is at work${far}` : `${state}${far}`) };
    });
  return [...failed, ...others];
}
