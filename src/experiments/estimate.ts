/** What a sweep will take: runs, hours and gigabytes, from runs like these that have ended. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { canonical, type FineTuneSettings } from '../settings/config.js';
import { type FoundRun, findRuns } from './identity.js';
import type { RunStatus } from './schedule.js';
import type { PreparedSweep } from './sweep.js';

export interface SweepEstimate {
  readonly runs: number;
  readonly finished: number;
  readonly atOnce: number;
  /** Of training, with so many runs at once, over those whose pace is known. */
  readonly hours: number;
  /** Of disk, over those of which runs alike are known; weights to be fetched and caches are not in it. */
  readonly gigabytes: number;
  /** Runs unlike all that have ended, of which nobody knows. */
  readonly unknown: number;
}

/** What finished runs of one kind have taken, on average. */
interface Known {
  seconds: number;
  bytes: number;
  count: number;
}

/**
 * Runs of a shape that has ended before take as long for an epoch. The data set belongs to the shape where it was met, and
 * is left out of it otherwise, as it is in VTAB, whose tasks are of one size.
 * @param folders of finished runs, beside those of the sweep
 */
export async function estimateSweep(prepared: PreparedSweep, folders: readonly string[] = []): Promise<SweepEstimate> {
  const { statuses, limit, out, plan } = prepared;
  const known = new Map<string, Known>();
  for (const run of await findRuns([out, ...(plan.reuse ?? []), ...folders])) await learn(known, run);
  const left = statuses.filter(({ state }) => state !== 'done');
  let [seconds, bytes, unknown] = [0, 0, 0];
  for (const status of left) {
    const like = shapes(status.run.settings).map((shape) => known.get(shape));
    const pace = like.find((one) => one !== undefined);
    if (!pace) unknown++;
    else {
      seconds += (pace.seconds / pace.count) * epochsOf(status.run.settings) * leftOf(status);
      bytes += pace.bytes / pace.count;
    }
  }
  return {
    runs: statuses.length,
    finished: statuses.length - left.length,
    atOnce: limit,
    hours: seconds / 3600 / limit,
    gigabytes: bytes / 1e9,
    unknown,
  };
}

const leftOf = ({ fraction }: RunStatus): number => 1 - fraction;

/** All epochs that it trains, those that look for the best length included. */
const epochsOf = ({ epochs, cooldownEpochs, protocol }: FineTuneSettings): number =>
  (epochs + cooldownEpochs) * (protocol === 'val' ? 2 : 1);

/** From the narrowest to the widest. */
function shapes(settings: FineTuneSettings): string[] {
  const { student, teacher, imageSize, method, threads, data } = settings;
  const models = [student, teacher, imageSize ?? null, threads ?? null];
  return [canonical([...models, method, data]), canonical([...models, method]), canonical(models)];
}

async function learn(known: Map<string, Known>, { dir, record, result }: FoundRun): Promise<void> {
  if (!result) return;
  const bytes = await bytesOf(dir);
  for (const shape of shapes(record.settings)) {
    const before = known.get(shape) ?? { seconds: 0, bytes: 0, count: 0 };
    before.seconds += result.seconds / epochsOf(record.settings);
    before.bytes += bytes;
    before.count++;
    known.set(shape, before);
  }
}

async function bytesOf(dir: string): Promise<number> {
  let sum = 0;
  for (const name of await readdir(dir))
    sum += await stat(join(dir, name)).then(
      ({ size }) => size,
      () => 0,
    );
  return sum;
}
