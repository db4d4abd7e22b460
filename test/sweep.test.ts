/** Sweeps: what runs once and never twice, whoever made it and whatever ends the process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { estimateSweep } from '../src/experiments/estimate.js';
import { MemoryGauge } from '../src/experiments/memory.js';
import type { SweepPlan } from '../src/experiments/plan.js';
import { readResults } from '../src/experiments/results.js';
import { readSummary } from '../src/experiments/summary.js';
import { prepareSweep, sweep } from '../src/experiments/sweep.js';
import { fineTune, report } from '../src/index.js';
import { escapeHtml } from '../src/report/html.js';
import { makeImageFolder, runBytes, STUDENT, settings, TEACHER, temporaryFolder } from './train-support.js';

const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const root = temporaryFolder();
afterAll(() => rmSync(root, { recursive: true }));
const at = (...path: string[]) => join(root, ...path);

let data: string;
beforeAll(async () => {
  data = await makeImageFolder(root, 8);
});

const { data: _, out: __, ...quick } = settings('', '');
const plan = (more: Partial<SweepPlan> = {}): SweepPlan => ({
  base: { ...quick, epochs: 2, student: STUDENT, teacher: TEACHER, method: 'parallel' },
  tasks: [{ name: 'colours', data }],
  grid: { distill: ['none', 'kl'], seed: [1] },
  parallel: 2,
  ...more,
});
const runs = ['colours/alone/seed-1', 'colours/kl/seed-1'];

describe('a sweep', () => {
  it('makes its runs, tells what they came to, and lets a missing task fail alone', async () => {
    const states: string[] = [];
    const both = plan({ tasks: [{ name: 'nowhere' }, { name: 'colours', data }] });
    const outcome = await sweep(both, {
      out: at('first'),
      dataRoot: root,
      onStatus: ({ run, state }) => states.push(`${run.name} ${state}`),
    });
    expect(outcome.results.map(({ name }) => name)).toEqual(runs);
    expect(outcome.failed.map(({ name, code }) => [name, code])).toEqual([
      ['nowhere/alone/seed-1', 'data.path.missing'],
      ['nowhere/kl/seed-1', 'data.path.missing'],
    ]);
    expect(states.filter((state) => state === `${runs[1]} running`).length).toBeGreaterThan(0);
    const [alone, taught] = await readResults(at('first'));
    const own = JSON.parse(readFileSync(at('first', runs[1]!, 'result.json'), 'utf8'));
    expect(taught).toMatchObject({ accuracy: own.accuracy, task: 'colours', distill: 'kl', seed: 1, run: runs[1] });
    expect(alone!.identity).not.toBe(taught!.identity);
    expect(readFileSync(at('first', 'results.csv'), 'utf8')).toMatch(
      /^name,task,row,distill,seed,accuracy,[^\n]*\r\ncolours\/alone\/seed-1,colours,,none,1,/,
    );
    expect(readdirSync(at('first')).sort()).toEqual(['colours', 'results.csv', 'results.jsonl', 'sweep.json']);

    expect(await readSummary(at('first'))).toEqual({ format: 'idat-sweep-1', plan: {}, failed: outcome.failed });
    const page = await report(at('first'));
    expect(page).toMatchObject({ of: 'sweep', missing: [] });
    const sentence = escapeHtml(outcome.failed[1]!.message);
    expect(readFileSync(page.path, 'utf8')).toContain(`nowhere/kl/seed-1</th><td class="words">${sentence}</td>`);
    rmSync(page.path);
  });

  it('makes none again that is finished', async () => {
    const before = runs.map((name) => statSync(at('first', name, 'result.json')).mtimeMs);
    const { results } = await sweep(plan(), { out: at('first') });
    expect(results.length).toBe(2);
    expect(runs.map((name) => statSync(at('first', name, 'result.json')).mtimeMs)).toEqual(before);
  });

  const found = async (more: Partial<SweepPlan>, out = 'other') =>
    (await prepareSweep(plan({ reuse: [at('first')], ...more }), { out: at(out) })).statuses.map((one) => one.found);

  it('finds those that others made by settings, images and weights, wherever they lie', async () => {
    expect(await found({})).toEqual([true, true]);
    expect(await found({ reuse: [] })).toEqual([false, false]);
    cpSync(data, at('moved', 'colours'), { recursive: true });
    const moved = { tasks: [{ name: 'again', data: at('moved', 'colours') }] };
    expect(await found(moved)).toEqual([true, true]);
    expect(await found({ grid: { distill: ['none', 'kl', 'mse'], seed: [1, 2] } })).toEqual([
      ...[true, true, false, false, false, false],
    ]);
    writeFileSync(at('moved', 'colours', 'red', '0.png'), readFileSync(at('moved', 'colours', 'blue', '1.png')));
    expect(await found(moved)).toEqual([false, false]);
    cpSync(fileURLToPath(new URL(`../assets/models/${STUDENT}.safetensors`, import.meta.url)), at('w.safetensors'));
    const copied = { base: { ...plan().base, student: at('w.safetensors'), threads: 2 } };
    expect(await found(copied)).toEqual([true, true]);
    const bytes = readFileSync(at('w.safetensors'));
    bytes[bytes.length - 4]! ^= 1;
    writeFileSync(at('w.safetensors'), bytes);
    expect(await found(copied)).toEqual([false, false]);
  });

  it('takes what was found as its result, without a directory of its own', async () => {
    const { results } = await sweep(plan(), { out: at('other'), reuse: [at('first')] });
    expect(results.map(({ run }) => run)).toEqual(runs.map((name) => join('..', 'first', name)));
    expect(existsSync(at('other', 'colours'))).toBe(false);
  });

  it('says beforehand how much there is to do', async () => {
    const more = plan({ grid: { distill: ['none', 'kl'], seed: [1, 2, 3] } });
    const estimate = await estimateSweep(await prepareSweep(more, { out: at('first') }));
    expect(estimate).toMatchObject({ runs: 6, finished: 2, atOnce: 2, unknown: 0 });
    expect(estimate.hours).toBeGreaterThan(0);
    expect(estimate.gigabytes).toBeGreaterThan(1e-5);
    const unlike = plan({ base: { ...plan().base, imageSize: 16 } });
    expect(await estimateSweep(await prepareSweep(unlike, { out: at('first') }))).toMatchObject({
      unknown: 2,
      hours: 0,
    });
  });

  it('refuses a run that has other settings, in its place, and leaves it', async () => {
    const other = plan({ base: { ...plan().base, lr: 0.1 } });
    const { failed } = await sweep(other, { out: at('first') });
    expect(failed.map(({ code }) => code)).toEqual(['run.settings', 'run.settings']);
  });
});

/** A sweep in a process and with a process group of its own. */
function start(
  file: string,
  out: string,
): { child: ChildProcess; stderr: () => string; ended: Promise<number | null> } {
  const child = spawn(process.execPath, [MAIN, 'sweep', file, '--out', out], { detached: true });
  let stderr = '';
  child.stderr!.on('data', (chunk) => {
    stderr += chunk;
  });
  return { child, stderr: () => stderr, ended: new Promise((resolve) => child.on('close', resolve)) };
}

const planFile = (name: string, content: SweepPlan): string => {
  writeFileSync(at(name), JSON.stringify(content)); // JSON is YAML
  return at(name);
};
const until = async (what: () => boolean): Promise<void> => {
  for (let i = 0; i < 1000 && !what(); i++) await sleep(50);
  expect(what()).toBe(true);
};
const metricsOf = (dir: string): number => {
  const path = join(dir, 'metrics.jsonl');
  return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n').length : 0;
};

describe('a sweep that ends before its runs', () => {
  const longer = () => plan({ base: { ...plan().base, epochs: 12, warmupEpochs: 1 } });

  it.each([
    ['is killed with all its processes', 'SIGKILL', null],
    ['is stopped by Ctrl-C', 'SIGINT', 130],
  ] as const)(
    '%s: it goes on, and its runs end with the bytes of undisturbed ones',
    async (_, signal, code) => {
      const out = at(signal);
      const file = planFile(`${signal}.yaml`, longer());
      const first = start(file, out);
      const dir = join(out, runs[1]!);
      await until(() => metricsOf(dir) >= 2);
      process.kill(-first.child.pid!, signal);
      expect(await first.ended).toBe(code);
      const epochs = metricsOf(dir);
      expect(epochs).toBeGreaterThanOrEqual(2);
      expect(existsSync(join(dir, 'result.json'))).toBe(false);
      const again = start(file, out);
      expect({ code: await again.ended, stderr: again.stderr() }).toMatchObject({ code: 0 });
      const request = { ...longer().base, distill: 'kl', seed: 1, data, out: at(`${signal}-whole`) };
      await fineTune(request as unknown as Parameters<typeof fineTune>[0]);
      expect(runBytes(dir)).toEqual(runBytes(at(`${signal}-whole`)));
      expect(readdirSync(dir).filter((name) => name.endsWith('.lock'))).toEqual([]);
    },
    120_000,
  );

  it('leaves its runs to end well where it alone is killed', async () => {
    const out = at('orphans');
    const first = start(planFile('orphans.yaml', longer()), out);
    const dir = join(out, runs[1]!);
    await until(() => metricsOf(dir) >= 1);
    first.child.kill('SIGKILL');
    await until(() => !existsSync(join(dir, 'run.lock')));
    expect(metricsOf(dir)).toBeLessThan(12);
  });
});

describe('two sweeps in one directory', () => {
  it('share the work, and both tell all of it', async () => {
    const out = at('shared');
    const file = planFile('shared.yaml', plan({ grid: { distill: ['none', 'kl'], seed: [1, 2] } }));
    const both = [start(file, out), start(file, out)];
    expect(await Promise.all(both.map(({ ended }) => ended))).toEqual([0, 0]);
    const begun = both.flatMap(({ stderr }) => [...stderr().matchAll(/^running {3}(\S+)/gm)].map(([, name]) => name!));
    expect(begun.sort()).toEqual([...new Set(begun)]);
    expect(begun.length).toBe(4);
    expect((await readResults(out)).length).toBe(4);
  }, 120_000);
});

describe('memory', () => {
  const of = (bytes: number) => new MemoryGauge(() => bytes);
  it('has room for one run, whatever there is, and for another where both fit', async () => {
    const { run } = (await prepareSweep(plan(), { out: at('unborn') })).statuses[0]!;
    for (const [bytes, fits] of [
      [1e6, false],
      [4e9, true],
    ] as const) {
      const gauge = of(bytes);
      expect(await gauge.fits(run.settings)).toBe(true);
      gauge.begin(run, run.settings);
      expect(await gauge.fits(run.settings)).toBe(fits);
    }
    const learnt = of(4e9);
    learnt.begin(run, run.settings);
    learnt.told(run, 3.9e9, 1e9); // it will take 2.9 GB more, and another one 3.9 GB
    expect(await learnt.fits(run.settings)).toBe(false);
    learnt.end(run);
    expect(await learnt.fits(run.settings)).toBe(true);
  });
});
