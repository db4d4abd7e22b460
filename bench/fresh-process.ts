/** What is measured in processes of their own: peak memory, a watched training run, the time to the first step. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { IdatError } from '../src/errors.js';
import type { FineTuneInput } from '../src/index.js';
import { makeImageFolder } from './image-folder.js';
import { BATCH_SIZE, backbonePath } from './problem.js';
import type { WatchedRun } from './train-process.js';

const built = (name: string) => fileURLToPath(new URL(name, import.meta.url));
export const TIME_RUNS = ['--import', new URL('./time-runs.js', import.meta.url).href];

/** The pair and losses of the benchmark, as settings of a run. */
const pair = (folder: string): Partial<FineTuneInput> => ({
  student: backbonePath(folder, 'student'),
  teacher: backbonePath(folder, 'teacher'),
  adapter: 'parallel',
  distill: 'kl',
});

/** A run of one epoch of `steps` steps of 32 images. */
export async function watchTraining(
  folder: string,
  steps: number,
  settings: Partial<FineTuneInput>,
): Promise<WatchedRun> {
  return inTemporaryFolder(async (place) => {
    await makeImageFolder(join(place, 'images'), steps * BATCH_SIZE);
    return watch({ ...pair(folder), ...settings, ...whereIn(place), epochs: 1 });
  });
}

/** Linear probing of the student on `images` images for `epochs` epochs. */
export async function watchLinearProbing(folder: string, images: number, epochs: number): Promise<WatchedRun> {
  return inTemporaryFolder(async (place) => {
    await makeImageFolder(join(place, 'images'), images);
    return watch({ student: backbonePath(folder, 'student'), adapter: 'linear', ...whereIn(place), epochs });
  });
}

const whereIn = (place: string) => ({
  data: join(place, 'images'),
  out: join(place, 'run'),
  cacheDir: join(place, 'pixels'),
});

async function watch(input: Partial<FineTuneInput>): Promise<WatchedRun> {
  const child = spawn(process.execPath, [...TIME_RUNS, built('train-process.js'), JSON.stringify(input)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  if (code !== 0) throw new IdatError('bench.train', `the training process ended with exit code ${code}`);
  return JSON.parse(output) as WatchedRun;
}

/** Images of the first steps: small, so that the step itself hides little of what comes before it. */
const FIRST_STEP_IMAGES = 4;

/**
 * `idat train` as a user types it, until its first step begins: the end of the first step, less the length of the
 * second. The weights are in the operating system's cache, the images are not decoded yet.
 */
export async function secondsToFirstStep(folder: string): Promise<number> {
  return inTemporaryFolder(async (place) => {
    await makeImageFolder(join(place, 'images'), 4 * FIRST_STEP_IMAGES);
    const { data, out, cacheDir } = whereIn(place);
    const { student, teacher, adapter, distill } = pair(folder) as Record<string, string>;
    const flags = { student, teacher, adapter, distill, out, 'cache-dir': cacheDir, 'batch-size': FIRST_STEP_IMAGES };
    const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, `${value}`]);
    const main = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));
    const [first, second] = await stepTimes([...ON_A_TERMINAL, main, 'train', data, ...args]);
    return first - (second - first);
  });
}

/** Elsewhere than on a terminal the first progress line comes after ten seconds. */
const ON_A_TERMINAL = [
  '--import',
  `data:text/javascript,${encodeURIComponent('process.stderr.isTTY = true; process.stderr.columns = 200;')}`,
];

/** Starts node; seconds until the ends of the first two steps, at which it is killed. */
function stepTimes(args: readonly string[]): Promise<[number, number]> {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const times: number[] = [];
    let text = '';
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    child.stderr.on('data', (chunk: Buffer) => {
      text += chunk;
      const lines = text.match(/epoch 1\/\d+ +loss/g)?.length ?? 0;
      while (times.length < lines) times.push((performance.now() - started) / 1000);
      if (times.length >= 2) child.kill('SIGKILL');
    });
    child.on('close', (code) => {
      if (times.length >= 2) resolve([times[0]!, times[1]!]);
      else reject(new IdatError('bench.train', `idat train ended (exit code ${code}) before its second step\n${text}`));
    });
  });
}

async function inTemporaryFolder<T>(action: (place: string) => Promise<T>): Promise<T> {
  const place = await mkdtemp(join(tmpdir(), 'idat-bench-'));
  try {
    return await action(place);
  } finally {
    await rm(place, { recursive: true });
  }
}
