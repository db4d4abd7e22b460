/** What `idat runs` knows of runs: finished, running, stopped, damaged, and what is none. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { takeLock } from '../src/files/node/lock.js';
import { fineTune, listRuns } from '../src/index.js';
import { makeImageFolder, settings, temporaryFolder } from './train-support.js';

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const root = temporaryFolder();
const runs = join(root, 'runs');
const at = (...names: string[]) => join(runs, ...names);
afterAll(() => rmSync(root, { recursive: true }));

/** Changes a field of a run's config.json. */
function edit(dir: string, change: (config: { settings: Record<string, unknown>; teacher: unknown }) => void): void {
  const path = join(dir, 'config.json');
  const config = JSON.parse(readFileSync(path, 'utf8'));
  change(config);
  writeFileSync(path, JSON.stringify(config));
}

const byName = async () => new Map((await listRuns(runs)).map((run) => [run.name, run]));

beforeAll(async () => {
  const data = await makeImageFolder(root);
  await fineTune(settings(data, at('good')));
  const stop = new AbortController();
  const stopping = fineTune(
    { ...settings(data, at('tries', 'run-10')), protocol: 'val', variant: 'iDAT-P-kl', seed: 7 },
    { signal: stop.signal, onProgress: (event) => event.kind === 'epoch' && event.epoch === 1 && stop.abort() },
  );
  await expect(stopping).rejects.toMatchObject({ code: 'run.interrupted' });
  cpSync(at('tries', 'run-10'), at('tries', 'run-9'), { recursive: true });
  for (const name of ['no-json', 'no-field', 'no-classes', 'no-config', 'own', 'own-stopped', 'other-result'])
    cpSync(at('good'), at(name), { recursive: true });
  truncateSync(at('no-json', 'config.json'), 40);
  edit(at('no-field'), (config) => delete config.teacher);
  unlinkSync(at('no-classes', 'classes.json'));
  unlinkSync(at('no-config', 'config.json'));
  edit(at('own'), ({ settings }) => Object.assign(settings, { method: 'my-own', teacherMethod: 'my-own' }));
  cpSync(at('own'), at('own-stopped'), { recursive: true });
  unlinkSync(at('own-stopped', 'result.json'));
  edit(at('other-result'), ({ settings }) => Object.assign(settings, { lr: 0.25 }));
  // no runs: another program's config.json, a run inside a run, what lies too deep, hidden folders
  mkdirSync(at('model'));
  writeFileSync(at('model', 'config.json'), '{"model_type": "vit"}');
  cpSync(at('own'), at('good', 'inner'), { recursive: true });
  cpSync(at('good'), at('a', 'b', 'c', 'd'), { recursive: true });
  cpSync(at('good'), at('.hidden'), { recursive: true });
  symlinkSync('..', at('a', 'loop'), 'junction');
});

describe('listRuns', () => {
  it('finds runs by name, numbers in their order, and nothing that is none', async () => {
    expect((await listRuns(runs)).map(({ name }) => name)).toEqual([
      'good',
      'no-classes',
      'no-config',
      'no-field',
      'no-json',
      'other-result',
      'own',
      'own-stopped',
      join('tries', 'run-9'),
      join('tries', 'run-10'),
    ]);
  });

  it('tells what a finished run is and came to', async () => {
    const run = (await byName()).get('good')!;
    const stored = JSON.parse(readFileSync(at('good', 'result.json'), 'utf8'));
    expect(run).toMatchObject({
      dir: at('good'),
      state: 'finished',
      problem: null,
      data: join(root, 'colours'),
      variant: 'iDAT-PS-mse',
      seed: 42,
      protocol: 'last',
      result: { accuracy: stored.accuracy, correct: stored.correct, protocol: 'last' },
    });
    expect(Date.now() - Date.parse(run.changed)).toBeLessThan(600_000);
  });

  it('tells how far a stopped run is, and in which phase', async () => {
    const run = (await byName()).get(join('tries', 'run-10'))!;
    expect(run).toMatchObject({ state: 'stopped', problem: null, result: null, variant: 'iDAT-P-kl', seed: 7 });
    expect(run.progress).toEqual({ phase: 'select', epochs: 2, of: 3 });
  });

  it('tells that a living process is at work, and not that a dead one was', async () => {
    const lock = await takeLock(at('tries', 'run-9', 'run.lock'));
    const state = async () => (await byName()).get(join('tries', 'run-9'))!.state;
    const text = readFileSync(at('tries', 'run-9', 'run.lock'), 'utf8');
    expect(await state()).toBe('running');
    await lock.release();
    expect(await state()).toBe('stopped');
    const [host, , started, space] = text.trim().split('-');
    writeFileSync(at('tries', 'run-9', 'run.lock'), `${host}-${2 ** 22 - 3}-${started}-${space}\n`);
    expect(await state()).toBe('stopped');
  });

  it.each([
    ['no-json', /config\.json: not JSON/],
    ['no-field', /config\.json: teacher: expected object/],
    ['no-classes', /classes\.json is missing/],
    ['no-config', /no config\.json/],
    ['other-result', /is the result of another run \(lr 0\.005/],
  ])('%s: damaged, and in what way', async (name, sentence) => {
    const run = (await byName()).get(name)!;
    expect(run.state).toBe('damaged');
    expect(run.problem).toMatch(sentence);
    expect(run.result).toBe(null);
  });

  it('does not take a method that is not loaded here for damage', async () => {
    const listed = await byName();
    const own = listed.get('own')!;
    expect(own).toMatchObject({ state: 'finished', variant: 'my-own-mse', result: { protocol: 'last' } });
    expect(own.problem).toMatch(/unknown tuning method 'my-own'/);
    expect(listed.get('own-stopped')).toMatchObject({ state: 'stopped', progress: { epochs: 3, of: 3 } });
  });

  it('goes as deep as asked, and lists a run given by its own directory', async () => {
    const deep = (await listRuns(runs, { depth: 4 })).map(({ name }) => name);
    expect(deep).toContain(join('a', 'b', 'c', 'd'));
    expect((await listRuns(runs, { depth: 1 })).map(({ name }) => name)).not.toContain(join('tries', 'run-9'));
    expect((await listRuns(at('good'))).map(({ name, state }) => [name, state])).toEqual([['good', 'finished']]);
  });

  it('refuses a folder that is not there', async () => {
    await expect(listRuns(join(root, 'nowhere'))).rejects.toMatchObject({ code: 'run.folder' });
  });
});

describe('idat runs', () => {
  const idat = (...args: string[]) =>
    execFileSync(process.execPath, [main, 'runs', ...args], { cwd: root, encoding: 'utf8' });

  it('prints a table of 80 columns with what each run came to', () => {
    const text = idat();
    for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
    expect(text).toMatch(/^good +colours +iDAT-PS-mse +42 +\d+\.\d % last +\d{4}-\d\d-\d\d$/m);
    expect(text).toMatch(/^tries.run-10 +colours +iDAT-P-kl +7 +stopped 2\/3 selecting +\d{4}/m);
    expect(text).toMatch(/^no-json .* damaged +\d{4}/m);
    expect(text.replace(/\s+/g, ' ')).toMatch(/no-json: \S+config\.json: not JSON; copy the run again/);
  });

  it('shortens names that are too long in their middle', () => {
    cpSync(at('good'), join(root, 'long', `${'a-long-name-'.repeat(6)}17`), { recursive: true });
    const line = idat('long').split('\n')[1]!;
    expect(line).toMatch(/^a-long-name-a\S*…\S*name-17 /);
    expect(line.length).toBeLessThanOrEqual(80);
  });

  it('prints JSON, the best first', () => {
    const { runs: listed } = JSON.parse(idat('--json', '--sort', 'accuracy'));
    expect(listed).toHaveLength(10);
    expect(listed[0].state).toBe('finished');
    expect(listed.at(-1).result).toBe(null);
  });

  it('says how to begin where there are none', () => {
    mkdirSync(join(root, 'empty'));
    expect(idat('empty')).toBe('empty: no runs here; idat train makes one\n');
  });
});
