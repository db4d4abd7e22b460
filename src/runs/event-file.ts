/** A run's event file for TensorBoard, kept up with its log. */
import { appendFile, mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { IdatError } from '../errors.js';
import { writeFileAtomic } from '../files/node/atomic-write.js';
import { eventFile } from '../report/event-file.js';
import type { EpochMetrics, EpochTiming } from '../settings/record.js';

/** Seconds since 1970 at which the run began are in the name, as TensorBoard's own files have them. */
const NAME = /^events\.out\.tfevents\.(\d{10})\.idat$/;

/**
 * Writes the event file of a run into a folder, or brings it up to date: what it has already is not written again, so that a
 * TensorBoard that is looking reads on, and a run that was resumed has each epoch once.
 * @param dir the run
 * @returns its path
 * @throws IdatError `report.tensorboard` when the folder cannot be written
 */
export async function writeEvents(
  dir: string,
  folder: string,
  metrics: readonly EpochMetrics[],
  timings: readonly EpochTiming[],
): Promise<string> {
  try {
    await mkdir(folder, { recursive: true });
    const began = (await readdir(folder)).flatMap((name) => NAME.exec(name)?.[1] ?? [])[0];
    const start =
      began === undefined ? Math.floor((await stat(join(dir, 'config.json'))).mtimeMs / 1000) : Number(began);
    const path = join(folder, `events.out.tfevents.${start}.idat`);
    const bytes = eventFile(metrics, timings, start);
    const there = await readFile(path).catch(() => Buffer.alloc(0));
    const grown = there.length <= bytes.length && there.equals(bytes.subarray(0, there.length));
    if (grown && there.length > 0) await appendFile(path, bytes.subarray(there.length));
    else await writeFileAtomic(path, bytes);
    return path;
  } catch (error) {
    const { code } = ((error as Error).cause ?? error) as NodeJS.ErrnoException;
    const what = `${folder}: no event file can be written there (${code})`;
    throw new IdatError('report.tensorboard', `${what}; choose another folder`, { cause: error });
  }
}
