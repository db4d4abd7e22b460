/** Using runs: several at once in a process, runs that have not ended, a stranger's run, images that cannot be read. */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { usableCores } from '../src/files/node/usable-cores.js';
import { evaluateRun, fineTune, openRun, type Progress, predict, type ResumeControl, resume } from '../src/index.js';
import { threadsOf } from '../src/runs/open-run.js';
import { makeImageFolder, runBytes, settings, temporaryFolder } from './train-support.js';

const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const root = temporaryFolder();
afterAll(() => rmSync(root, { recursive: true }));
let data: string;
const short = (out: string) => ({ ...settings(data, join(root, out)), epochs: 2, prefixMemory: 64 });
beforeAll(async () => {
  data = await makeImageFolder(root, 8);
});

it('several runs and predictions in one process at once do not disturb each other', async () => {
  await fineTune(short('one'));
  const images = ['red', 'green', 'blue'].map((name) => join(data, name, '0.png'));
  const before = await predict(join(root, 'one'), images);
  const [, , ...predictions] = await Promise.all([
    fineTune(short('two')),
    fineTune({ ...short('three'), seed: 7 }),
    predict(join(root, 'one'), images),
    predict(join(root, 'one'), images),
  ]);
  expect(predictions).toEqual([before, before]);
  expect(runBytes(join(root, 'two'))).toEqual(runBytes(join(root, 'one')));
});

describe('a run that was stopped', () => {
  const dir = join(root, 'stopped');
  beforeAll(async () => {
    const stop = new AbortController();
    const onProgress = ({ kind }: Progress) => kind === 'epoch' && stop.abort();
    await fineTune(short('stopped'), { signal: stop.signal, onProgress }).catch(() => {});
  });

  it('says so when it is measured or predicts, until it has ended', async () => {
    const notes: Progress[] = [];
    const onProgress = (event: Progress) => event.kind === 'note' && notes.push(event);
    expect((await evaluateRun(dir, { onProgress })).finished).toBe(false);
    await predict(dir, [join(data, 'red', '0.png')], { onProgress });
    const note = { kind: 'note', code: 'run.unfinished', text: expect.stringContaining('has not ended') };
    expect(notes.filter((event) => event.kind === 'note' && event.code !== undefined)).toEqual([note, note]);
    const text = await new Promise<string>((resolve) =>
      execFile(process.execPath, [MAIN, 'eval', dir], (_, stdout, stderr) => resolve(stdout + stderr)),
    );
    expect(text).toMatch(/protocol +none yet, the run has not ended/);
    expect(text).toMatch(/as it was after 1 epochs.*idat resume/);
    await resume(dir);
    expect((await evaluateRun(dir)).finished).toBe(true);
  });
});

it('a run does not choose where measuring it writes; who measures does', async () => {
  const dir = join(root, 'strange');
  cpSync(join(root, 'one'), dir, { recursive: true });
  const config = join(dir, 'config.json');
  const record = JSON.parse(readFileSync(config, 'utf8'));
  const [chosen, own] = [join(root, 'chosen-by-the-run'), join(root, 'chosen-by-me')];
  writeFileSync(config, JSON.stringify({ ...record, settings: { ...record.settings, cacheDir: chosen } }));
  await evaluateRun(dir, { cacheDir: own });
  await predict(dir, [join(data, 'red', '0.png')]);
  expect([existsSync(chosen), existsSync(own)]).toEqual([false, true]);
});

describe('a run that is gone on with does not choose where is kept what can be made again', {
  timeout: 240_000,
}, () => {
  const [within, chosen, own, cache] = ['strange-two/cache', 'chosen', 'mine', 'cache'].map((name) => join(root, name));
  const dir = join(root, 'strange-two');
  const kept = (folder: string) => (existsSync(folder) ? readdirSync(folder) : null);

  /** The notes of going on with the run, which names this folder. */
  async function notesWith(cacheDir: string, control: ResumeControl = {}): Promise<Progress[]> {
    const stop = new AbortController();
    rmSync(dir, { recursive: true, force: true });
    const onStep = ({ kind }: Progress) => kind === 'step' && stop.abort();
    await fineTune({ ...short('strange-two'), cacheDir }, { signal: stop.signal, onProgress: onStep }).catch(() => {});
    if (cacheDir !== within && cacheDir !== cache) rmSync(cacheDir, { recursive: true });
    const notes: Progress[] = [];
    await resume(dir, { ...control, onProgress: (event) => event.kind === 'note' && notes.push(event) });
    return notes.filter((event) => 'code' in event && event.code === 'cache.unasked');
  }

  it('in a folder of others', async () => {
    expect(await notesWith(chosen!)).toEqual([expect.objectContaining({ text: expect.stringContaining(chosen!) })]);
    expect(kept(chosen!)).toBe(null);
    const [link, target] = [join(dir, 'link'), join(root, 'target')];
    mkdirSync(target);
    const config = join(root, 'one', 'config.json');
    const record = JSON.parse(readFileSync(config, 'utf8')) as { settings: object };
    rmSync(dir, { recursive: true });
    cpSync(join(root, 'one'), dir, { recursive: true });
    rmSync(join(dir, 'result.json'));
    symlinkSync(target, link);
    writeFileSync(
      join(dir, 'config.json'),
      JSON.stringify({ ...record, settings: { ...record.settings, cacheDir: link } }),
    );
    await resume(dir);
    expect(kept(target)).toEqual([]);
  });

  it('but it may use one of its own, one that is a cache already, and one that is named again', async () => {
    expect(await notesWith(within!)).toEqual([]);
    expect(kept(within!)).not.toEqual([]);
    expect(await notesWith(cache!)).toEqual([]);
    expect(await notesWith(chosen!, { cacheDir: own! })).toEqual([]);
    expect([kept(chosen!), kept(own!)?.length]).toEqual([null, expect.any(Number)]);
  });
});

describe('threads of a run', () => {
  const dir = join(root, 'many-threads');
  function write(resolved: object): void {
    rmSync(dir, { recursive: true, force: true });
    cpSync(join(root, 'one'), dir, { recursive: true });
    rmSync(join(dir, 'result.json'));
    const config = join(dir, 'config.json');
    const record = JSON.parse(readFileSync(config, 'utf8')) as { resolved: object };
    writeFileSync(config, JSON.stringify({ ...record, resolved: { ...record.resolved, ...resolved } }));
  }

  it('are bounded, all copies together', async () => {
    write({ threads: 100_000 });
    await expect(resume(dir)).rejects.toMatchObject({ code: 'run.config' });
    write({ threads: 1000, replicas: 1000 });
    await expect(resume(dir)).rejects.toThrow(
      /resolved\.replicas: expected at most 1024 threads in all, got 1000 times 1000/,
    );
  });

  it('are no more than there are cores where nothing depends on them, and otherwise told', async () => {
    const cores = usableCores();
    const notes: Progress[] = [];
    const onProgress = (event: Progress) => event.kind === 'note' && notes.push(event);
    write({ threads: cores + 1, replicas: 1 });
    expect(threadsOf((await openRun(dir)).record)).toBe(cores);
    await resume(dir, { onProgress });
    expect(notes).toContainEqual(
      expect.objectContaining({ code: 'threads.more', text: expect.stringContaining(`on ${cores + 1} threads`) }),
    );
  });
});

it('test images that cannot be read are counted beside the result', async () => {
  const broken = join(root, 'broken');
  for (const name of ['red', 'green', 'blue']) {
    for (const split of ['train', 'val', 'test'])
      cpSync(join(data, name), join(broken, split, name), { recursive: true });
  }
  writeFileSync(join(broken, 'test', 'red', '1.png'), 'no picture');
  const result = await fineTune({ ...short('left-out'), data: broken, epochs: 1, teacher: null });
  expect(result).toMatchObject({ total: 23, leftOut: 1 });
  expect(JSON.parse(readFileSync(join(root, 'left-out', 'result.json'), 'utf8')).leftOut).toBe(1);
  const evaluation = await evaluateRun(join(root, 'left-out'));
  expect(evaluation).toMatchObject({ total: 23, leftOut: 1 });

  // class by class the same images are counted, and what is stored is held against the rest
  const path = join(root, 'left-out', 'result.json');
  const stored = JSON.parse(readFileSync(path, 'utf8'));
  expect(result.classes).toEqual(['blue', 'green', 'red']);
  expect(result.byClass!.map(({ total }) => total)).toEqual([8, 8, 7]);
  expect(result.byClass!.reduce((sum, { correct }) => sum + correct, 0)).toBe(result.correct);
  expect(stored.byClass).toEqual(result.byClass);
  expect(evaluation.byClass).toEqual(result.byClass);
  const [blue, ...others] = stored.byClass;
  for (const lie of [others, [{ ...blue, total: 9 }, ...others], [{ ...blue, correct: blue.correct + 1 }, ...others]]) {
    writeFileSync(path, JSON.stringify({ ...stored, byClass: lie }));
    await expect(openRun(join(root, 'left-out'))).rejects.toThrow(/result\.json: byClass does not fit/);
  }
});
