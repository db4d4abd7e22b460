/** A machine's figures in words and numbers, and beside them those of other machines. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { IdatError } from '../errors.js';
import { writeFileAtomic } from '../files/atomic-write.js';
import type { BenchRecord, BenchTask, Figure } from './bench.js';

/** Figures of other machines, one file each. */
const STORED = fileURLToPath(new URL('../../assets/bench', import.meta.url));

export async function saveRecord(path: string, record: BenchRecord): Promise<void> {
  await writeFileAtomic(path, `${JSON.stringify(record, null, 2)}\n`);
}

/** The stored records of the same models, method, image and batch size: like compared with like. */
export async function comparableRecords({ task }: BenchRecord, folder = STORED): Promise<BenchRecord[]> {
  const names = (await readdir(folder).catch((): string[] => [])).filter((name) => name.endsWith('.json')).sort();
  const records = await Promise.all(names.map((name) => readRecord(join(folder, name))));
  return records.filter((other) =>
    Object.entries(task).every(([field, value]) => other.task[field as keyof BenchTask] === value),
  );
}

async function readRecord(path: string): Promise<BenchRecord> {
  const record = JSON.parse(await readFile(path, 'utf8')) as BenchRecord;
  if (record.format === 'idat-bench-1') return record;
  throw new IdatError('bench.record', `${path}: not figures of idat bench; move the file away`);
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
  const row = (name: string, { machine, device, threads, date, ...figures }: BenchRecord): string[] => [
    name || `${machine.cpu}, ${machine.cores} cores`,
    device,
    `${threads}`,
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
