/** A run and a sweep with hostile and long names, and their reports. */
import { cpSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fineTune, type Report, report } from '../src/index.js';
import { makeImageFolder, settings } from './train-support.js';

/** A folder of that name is a class. */
export const HOSTILE = '<img src=x onerror=alert(1)> & "it\'s"';
export const LONG = `a-class-whose-name-is-${'very-'.repeat(12)}long`;

export interface Reports {
  readonly ofRun: Report;
  readonly ofSweep: Report;
}

/** Made in this folder: `run`, `sweep`, and `events` for TensorBoard. */
export async function makeReports(root: string): Promise<Reports> {
  const [run, sweep] = [join(root, 'run'), join(root, 'sweep')];
  const data = await makeImageFolder(root, 16);
  renameSync(join(data, 'red'), join(data, HOSTILE));
  renameSync(join(data, 'green'), join(data, LONG));
  await fineTune({ ...settings(data, run), variant: 'iDAT-S-mse', evalEvery: 1 });
  const ofRun = await report(run, { tensorboard: join(root, 'events') });

  mkdirSync(sweep);
  const lines = [1, 2, 3].flatMap((seed) =>
    ['alone', LONG].map((row, r) => {
      const name = `${HOSTILE.replaceAll('/', '')}/${row}/seed-${seed}`;
      cpSync(join(run, 'metrics.jsonl'), join(sweep, `${row}-${seed}`, 'metrics.jsonl'), { recursive: true });
      const counts = { accuracy: (50 + seed * r) / 100, correct: 50 + seed * r, total: 100 };
      const about = { name, task: HOSTILE, row, paperRow: r + 1, seed, protocol: 'last', run: `${row}-${seed}` };
      return { ...about, ...counts, trainAccuracy: 0.9 + seed / 30, seconds: 60 };
    }),
  );
  writeFileSync(
    join(sweep, 'results.jsonl'),
    `${lines.map((line) => JSON.stringify(line)).join('\n')}\n{"name":"x","accuracy":7}\n`,
  );
  const failed = [{ name: 'x/alone/seed-4', code: 'train.diverged', message: 'the loss is <b>not</b> a number' }];
  const plan = { says: 'What <i>it</i> is for.', against: 'alone' };
  writeFileSync(join(sweep, 'sweep.json'), JSON.stringify({ format: 'idat-sweep-1', plan, failed }));
  return { ofRun, ofSweep: await report(sweep) };
}
