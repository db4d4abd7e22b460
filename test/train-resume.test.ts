import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FOLDING_PASSES } from '../src/graph/passes/index.js';
import { type FineTuneInput, fineTune, resume } from '../src/index.js';
import { makeImageFolder, runBytes, settings, temporaryFolder } from './train-support.js';

const CHILD = fileURLToPath(new URL('./train-child.mjs', import.meta.url));
const root = temporaryFolder();
afterAll(() => rmSync(root, { recursive: true }));

let data: string;
const undisturbed = join(root, 'undisturbed');
beforeAll(async () => {
  data = await makeImageFolder(root);
  await fineTune({ ...settings(data, undisturbed), protocol: 'paper' });
}, 120_000);

/** Starts a run and aborts it after some steps, expecting it to say how to go on. */
async function stopAfter(steps: number, out: string, more: Partial<FineTuneInput> = {}): Promise<void> {
  const stop = new AbortController();
  let seen = 0;
  const onProgress = ({ kind }: { kind: string }) => kind === 'step' && ++seen === steps && stop.abort();
  const run = fineTune({ ...settings(data, out), protocol: 'paper', ...more }, { onProgress, signal: stop.signal });
  await expect(run).rejects.toMatchObject({
    code: 'run.interrupted',
    message: expect.stringContaining(`with all saved in ${out}`),
    about: { run: out },
  });
}

const ended = (child: ChildProcess) => new Promise<void>((resolve) => child.on('close', () => resolve()));

describe('resume', () => {
  it('ends with the same bytes after being stopped in the middle of an epoch', async () => {
    const out = join(root, 'stopped');
    await stopAfter(5, out);
    await resume(out);
    expect(runBytes(out)).toEqual(runBytes(undisturbed));
  });

  it('ends with the same bytes after SIGKILL at any moment', async () => {
    const out = join(root, 'killed');
    const config = JSON.stringify({ ...settings(data, out), protocol: 'paper' });
    for (let kill = 0; kill < 6; kill++) {
      const how = existsSync(join(out, 'config.json')) ? ['resume', out] : ['start', config];
      const child = spawn(process.execPath, [CHILD, ...how], { stdio: ['ignore', 'pipe', 'inherit'] });
      // The first step, and then somewhere in the epoch or the saving that follows.
      child.stdout!.once('data', () => setTimeout(() => child.kill('SIGKILL'), Math.random() * 700));
      await ended(child);
    }
    await resume(out);
    expect(runBytes(out)).toEqual(runBytes(undisturbed));
  }, 180_000);

  it('keeps the last good state when the disk is full, and says so', async () => {
    const out = join(root, 'full');
    const roomy = join(root, 'full-roomy');
    // A limit on the size of files stands in for the disk; folded weights would meet it before the state does.
    const disable = [...FOLDING_PASSES];
    await fineTune({ ...settings(data, roomy), protocol: 'paper', disable });
    await stopAfter(5, out, { disable });
    const before = readFileSync(join(out, 'state.safetensors'));
    const limited = spawn('sh', [
      '-c',
      'trap "" XFSZ; ulimit -f 100; exec "$@"',
      'sh',
      process.execPath,
      CHILD,
      'resume',
      out,
    ]);
    let text = '';
    limited.stdout.on('data', (chunk) => {
      text += chunk;
    });
    await ended(limited);
    expect(text).toContain('files.write: cannot write');
    expect(readFileSync(join(out, 'state.safetensors'))).toEqual(before);
    await resume(out);
    expect(runBytes(out)).toEqual(runBytes(roomy));
  });

  it('derives the other files from the state again', async () => {
    const out = join(root, 'derived');
    await stopAfter(5, out);
    appendFileSync(join(out, 'metrics.jsonl'), '{"phase":"final","epoch":7}\n');
    writeFileSync(join(out, '.idat-left.tmp'), 'half');
    await resume(out);
    expect(runBytes(out)).toEqual(runBytes(undisturbed));
    expect(existsSync(join(out, '.idat-left.tmp'))).toBe(false);
  });

  it('ends with the same bytes where much depends on what was before', async () => {
    const more: Partial<FineTuneInput> = {
      ...{ protocol: 'val', patience: 1, averageEpochs: 2, balance: 'sampling', head: 'ridge', teacherWarmupEpochs: 1 },
      epochs: 4,
    };
    const [whole, out] = [join(root, 'whole'), join(root, 'parts')];
    let steps = 0;
    const onProgress = ({ kind }: { kind: string }) => kind === 'step' && steps++;
    await fineTune({ ...settings(data, whole), ...more }, { onProgress });
    await stopAfter(steps - 1, out, more);
    await resume(out);
    expect(runBytes(out)).toEqual(runBytes(whole));
  });

  it('goes on with other threads, and remembers which it had', async () => {
    const out = join(root, 'threads');
    await stopAfter(5, out, { threads: 1 });
    await resume(out, { threads: 2 });
    expect(JSON.parse(readFileSync(join(out, 'config.json'), 'utf8')).resolved).toMatchObject({
      threads: 2,
      earlier: [{ threads: 1, microBatch: expect.any(Number) }],
      prefixThreads: 1,
    });
    const lastLoss = (dir: string) =>
      JSON.parse(readFileSync(join(dir, 'metrics.jsonl'), 'utf8').trim().split('\n').at(-1)!).loss.total;
    expect(lastLoss(out)).toBeCloseTo(lastLoss(undisturbed), 3);
  });

  it('ends with the same bytes however many calls run at a time', async () => {
    const out = join(root, 'replicas');
    await stopAfter(5, out);
    await resume(out, { replicas: 3 });
    expect(runBytes(out)).toEqual(runBytes(undisturbed));
    const all = join(root, 'all-replicas');
    await fineTune({ ...settings(data, all), protocol: 'paper', replicas: 2 });
    expect(runBytes(all)).toEqual(runBytes(undisturbed));
  });

  it('gives a finished run’s result again', async () => {
    expect((await resume(undisturbed)).protocol).toBe('paper');
  });

  it('names what has changed meanwhile', async () => {
    const out = join(root, 'changed');
    await stopAfter(1, out);
    const path = join(out, 'config.json');
    const config = readFileSync(path, 'utf8');
    const record = JSON.parse(config);
    writeFileSync(path, config.replace(record.data.fingerprints.test, 'another'));
    await expect(resume(out)).rejects.toThrow(/the data set .*colours has changed since the run began \(test\)/);
    writeFileSync(path, config.replace(record.teacher.sha256, 'another'));
    await expect(resume(out)).rejects.toThrow(/the teacher's weights in .*nano.* are not those the run began with/);
  });

  it('refuses a folder without a run', async () => {
    await expect(resume(root)).rejects.toThrow(/no run here/);
  });
});
