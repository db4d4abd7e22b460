/** A machine's figures in words and numbers, and beside them those of other machines. */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { IdatError } from '../errors.js';
import { writeFileAtomic } from '../files/node/atomic-write.js';
import { packageFile } from '../files/node/package-root.js';
import type { BenchRecord, BenchTask, Figure } from './bench.js';

/** Figures of other machines, one file each. */
const STORED = fileURLToPath(packageFile('assets/bench'));

/**
 * Adds a record to a machine's file, in place of an earlier one of the same task and device.
 * @throws IdatError when there is a file of something else, or it cannot be written
 */
export async function saveRecord(path: string, record: BenchRecord): Promise<void> {
  const earlier = existsSync(path) ? await readRecords(path) : [];
  const others = earlier.filter((other) => !sameTask(other, record) || other.device !== record.device);
  await writeFileAtomic(path, `${JSON.stringify([...others, record], null, 2)}\n`);
}

/** The stored records of the same models, method, image and batch size: like compared with like. */
export async function comparableRecords(record: BenchRecord, folder = STORED): Promise<BenchRecord[]> {
  const names = (await readdir(folder).catch((): string[] => [])).filter((name) => name.endsWith('.json')).sort();
  const files = await Promise.all(names.map((name) => readRecords(join(folder, name))));
  return files.flat().filter((other) => sameTask(other, record));
}

const sameTask = (a: BenchRecord, b: BenchRecord): boolean =>
  Object.entries(a.task).every(([field, value]) => b.task[field as keyof BenchTask] === value);

async function readRecords(path: string): Promise<BenchRecord[]> {
  const problem = () => new IdatError('bench.record', `${path}: holds no figures of idat bench; choose another file`);
  try {
    const records = JSON.parse(await readFile(path, 'utf8')) as BenchRecord[];
    if (records.every(({ format }) => format === 'idat-bench-1')) return records;
  } catch {
    throw problem();
  }
  throw problem();
}

export const imagesPerSecond = ({ images, msPerCall }: Figure): number => (1000 * images) / msPerCall.median;

const gigaflops = (flopsPerSecond: number): string => (flopsPerSecond / 1e9).toFixed(0);
const number = (value: number): string => (value < 100 ? value.toPrecision(3) : value.toFixed(0));

/** Rows of a table: what was measured, images a second, milliseconds an image (lowest to highest), and of the peak how much. */
export function figureRows({ step, student, teacher, peakFlopsPerSecond }: BenchRecord): string[][] {
  const row = (name: string, figure: Figure): string[] => {
    const ms = (call: number) => number(call / figure.images);
    const { median, lowest, highest } = figure.msPerCall;
    const flopsPerSecond = figure.flops / (median / 1000);
    return [
      name,
      number(imagesPerSecond(figure)),
      `${ms(median)} (${ms(lowest)} to ${ms(highest)})`,
      gigaflops(flopsPerSecond),
      `${((100 * flopsPerSecond) / peakFlopsPerSecond.median).toFixed(0)} %`,
    ];
  };
  const { median, lowest, highest } = peakFlopsPerSecond;
  const peak = `${gigaflops(median)} (${gigaflops(lowest)} to ${gigaflops(highest)})`;
  return [
    ['', 'images/s', 'ms an image', 'GFLOP/s', 'of the peak'],
    row('training step', step),
    row('inference, student', student),
    ...(teacher ? [row('inference, teacher', teacher)] : []),
    ['matrix products alone', '', '', peak, ''],
  ];
}

/** Rows of a table with one line a machine, this one first. */
export function machineRows(record: BenchRecord, others: readonly BenchRecord[]): string[][] {
  const row = (name: string, { machine, device, threads, replicas = 1, date, ...figures }: BenchRecord): string[] => [
    name || `${machine.cpu}, ${machine.cores} cores`,
    device,
    replicas > 1 ? `${replicas} × ${threads}` : `${threads}`,
    number(imagesPerSecond(figures.step)),
    number(imagesPerSecond(figures.student)),
    gigaflops(figures.peakFlopsPerSecond.median),
    `${(figures.peakMemoryBytes / 2 ** 30).toFixed(2)} GiB`,
    date,
  ];
  return [
    ['machine', 'device', 'threads', 'training images/s', 'inference images/s', 'peak GFLOP/s', 'memory', 'measured'],
    row('this machine', record),
    ...others.map((other) => row('', other)),
  ];
}
