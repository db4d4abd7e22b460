/** What the runs of a sweep came to, as files that other tools read: one JSON line a run, and a CSV. */
import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { writeFileAtomic } from '../files/node/atomic-write.js';
import { withLock } from '../files/node/lock.js';
import { readMetrics } from '../runs/run-directory.js';
import { identityOf, openFound } from './identity.js';
import type { RunStatus } from './schedule.js';

/** A line of results.jsonl. What varies in the plan stands among them by the settings' names. */
export interface SweepResult {
  readonly name: string;
  readonly task: string;
  readonly row: string | null;
  /** Which row of the paper's table it repeats, counted from 1; missing where none. */
  readonly paperRow?: number;
  readonly seed: number;
  /** Top-1 on the test images, and how many they were. */
  readonly accuracy: number;
  readonly correct: number;
  readonly total: number;
  /** Top-1 on the training images in the last epoch, while it went on. */
  readonly trainAccuracy: number | null;
  readonly protocol: string;
  readonly selectedEpoch: number;
  readonly trainableParameters: number;
  /** Spent in training. */
  readonly seconds: number;
  /** Where the run lies, from the sweep's folder. */
  readonly run: string;
  /** The same for runs whose results must be equal. */
  readonly identity: string;
  readonly [setting: string]: unknown;
}

/** @param out the sweep's folder, which the run's path is told from */
export async function resultOf({ run, dir, result }: RunStatus, out: string): Promise<SweepResult> {
  const { record } = await openFound(dir);
  const last = (await readMetrics(dir)).at(-1);
  return {
    name: run.name,
    task: run.task,
    row: run.row,
    ...(run.paperRow !== null && { paperRow: run.paperRow }),
    ...run.varies,
    seed: run.seed,
    accuracy: result!.accuracy,
    correct: result!.correct,
    total: result!.total,
    trainAccuracy: last?.trainAccuracy ?? null,
    protocol: result!.protocol,
    selectedEpoch: result!.selectedEpoch,
    trainableParameters: result!.trainableParameters.student,
    seconds: result!.seconds,
    run: relative(out, dir),
    identity: identityOf(record),
  };
}

const FILES = { lines: 'results.jsonl', csv: 'results.csv', lock: 'results.lock' } as const;
/** Writing takes milliseconds. */
const PATIENCE_MS = 10_000;

/**
 * Writes both files. Lines of other plans' runs in the same folder stay; sweeps that share it wait for each other.
 * @throws IdatError `files.write`, `files.locked`
 */
export async function writeResults(out: string, results: readonly SweepResult[]): Promise<void> {
  await withLock(join(out, FILES.lock), { patienceMs: PATIENCE_MS }, async () => {
    const own = new Set(results.map(({ name }) => name));
    const others = (await readResults(out)).filter(({ name }) => !own.has(name));
    const all = [...results, ...others];
    await writeFileAtomic(join(out, FILES.lines), all.map((line) => `${JSON.stringify(line)}\n`).join(''));
    await writeFileAtomic(join(out, FILES.csv), csvOf(all));
  });
}

/** None where there is no file; what is no line of ours is passed over. */
export async function readResults(out: string): Promise<SweepResult[]> {
  const text = await readFile(join(out, FILES.lines), 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => {
    try {
      const value = JSON.parse(line) as SweepResult;
      return typeof value?.name === 'string' && typeof value.accuracy === 'number' ? [value] : [];
    } catch {
      return [];
    }
  });
}

/** Columns of all lines in the order in which they first come (RFC 4180). */
function csvOf(results: readonly SweepResult[]): string {
  const columns = [...new Set(results.flatMap((line) => Object.keys(line)))];
  const cell = (value: unknown): string => {
    const text =
      value === null || value === undefined ? '' : typeof value === 'object' ? JSON.stringify(value) : `${value}`;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns, ...results.map((line) => columns.map((column) => line[column]))]
    .map((row) => `${row.map(cell).join(',')}\r\n`)
    .join('');
}
