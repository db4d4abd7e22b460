/** How images a call, threads and replicas are chosen, and remembered. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { cacheFolder } from '../src/files/node/cache-folder.js';
import { identityText, thisProcess } from '../src/files/node/process-identity.js';
import { fineTune, type Progress, resume } from '../src/index.js';
import { type Call, searchCall } from '../src/measure/call-search.js';
import { forgetTuning, recallTuning, rememberTuning } from '../src/measure/node/tuning-cache.js';
import { makeImageFolder, settings, temporaryFolder } from './train-support.js';

/** A machine at rest on which each call takes the same time, whatever else this one does: its readings stand still but for the clock. */
vi.mock('../src/measure/node/tuning-host.js', async (original) => {
  const { tuningHost } = await original<typeof import('../src/measure/node/tuning-host.js')>();
  let at = 0;
  const load = () => ({ wallMs: at, ownMs: at, allMs: at });
  const atRest = { load, now: () => (at += 20), wait: async () => {} };
  return { tuningHost: (onNote?: (text: string) => void) => ({ ...tuningHost(onNote), began: load(), ...atRest }) };
});

/** What the watch on training's pace was told, where nobody waits half a minute: it finds every pace far off when asked to. */
const pace = vi.hoisted(() => ({ promisedMs: 0, spent: [] as { calls: number; ms: number }[], farOff: false }));
vi.mock('../src/measure/pace.js', async (original) => ({
  ...(await original<typeof import('../src/measure/pace.js')>()),
  watchPace: (promisedMs: number, onFar: (ms: number) => void) => {
    Object.assign(pace, { promisedMs, spent: [] });
    return (spent: { calls: number; ms: number }) => {
      pace.spent.push(spent);
      if (pace.farOff && pace.spent.length === 1) onFar(8 * promisedMs);
    };
  },
}));

describe('the search', () => {
  const name = ({ microBatch, threads, replicas }: Call) =>
    `${microBatch}/${threads}${replicas > 1 ? `×${replicas}` : ''}`;

  /** Searches among calls whose milliseconds an image are given by `speed`; `time` is that of one measurement. */
  async function search(speed: (call: Call) => number, options: Partial<Parameters<typeof searchCall>[0]> = {}) {
    const tried: string[] = [];
    const { best } = await searchCall({
      batchSize: 32,
      first: { microBatch: 8, threads: 4, replicas: 1 },
      others: [{ threads: 1, replicas: 1 }],
      smallest: 1,
      largest: 32,
      measure: async (call) => {
        tried.push(name(call));
        return call.microBatch * speed(call);
      },
      outOfTime: () => false,
      ...options,
    });
    return { best: name(best), tried: tried.join(' ') };
  }

  it('goes up while that clearly helps', async () => {
    const speed = ({ microBatch, threads }: Call) => 10 / microBatch + (threads === 1 ? 5 : 0);
    expect(await search(speed)).toEqual({ best: '32/4', tried: '8/4 16/4 32/4 32/1' });
    expect(await search((call) => (call.microBatch === 32 ? 9 : speed(call)))).toEqual({
      best: '16/4',
      tried: '8/4 16/4 32/4 16/1',
    });
  });

  it('goes down where up does not help, and within the noise takes the smaller', async () => {
    expect(await search(({ threads }) => (threads === 1 ? 2 : 1))).toEqual({
      best: '1/4',
      tried: '8/4 16/4 4/4 2/4 1/4 1/1',
    });
    const speed = ({ microBatch, threads }: Call) =>
      ({ 16: 2, 8: 1, 4: 1.02, 2: 1.2 })[microBatch]! * (threads === 1 ? 2 : 1);
    expect(await search(speed)).toEqual({ best: '4/4', tried: '8/4 16/4 4/4 2/4 4/1' });
  });

  it('takes fewer threads where they are as fast', async () => {
    const speed = ({ microBatch, threads }: Call) => (microBatch === 8 ? 1 : 2) * (threads === 1 ? 1.01 : 1);
    expect((await search(speed)).best).toBe('8/1');
  });

  it('takes replicas where they are clearly faster, with calls so small that each has one', async () => {
    const others = [
      { threads: 1, replicas: 1 },
      { threads: 1, replicas: 4 },
    ];
    // milliseconds of one of four calls that run side by side
    const speed =
      (side: number) =>
      ({ microBatch, threads, replicas }: Call) =>
        replicas > 1 ? 4 * side : (threads === 1 ? 2 : 1) * (microBatch >= 16 ? 1 : 2);
    expect(await search(speed(0.8), { others })).toEqual({ best: '8/1×4', tried: '8/4 16/4 32/4 16/1 8/1×4' });
    expect((await search(speed(0.95), { others })).best).toBe('16/4');
    expect((await search(speed(0.8), { others, smallest: 8, largest: 8 })).best).toBe('8/1×4');
  });

  it('counts the padding of a batch that micro-batches do not divide', async () => {
    // 16 images a call is a tenth faster a call’s image, but 24 images need two calls of 16
    const speed = ({ microBatch }: Call) => (microBatch === 16 ? 0.9 : microBatch === 8 ? 1 : 2);
    expect((await search(speed, { batchSize: 24, largest: 24, others: [] })).best).toBe('8/4');
  });

  it('stops at its bounds and when time is up', async () => {
    const equal = () => 1;
    expect(await search(equal, { smallest: 8, largest: 8 })).toEqual({ best: '8/1', tried: '8/4 8/1' });
    expect(await search(equal, { outOfTime: () => true })).toEqual({ best: '8/4', tried: '8/4' });
  });

  it('tells how slow is hopeless', async () => {
    const limits: number[] = [];
    const measure = async ({ microBatch }: Call, hopelessMs: number) => {
      limits.push(hopelessMs);
      return microBatch;
    };
    await search(() => 1, { measure, smallest: 8, largest: 16, others: [] });
    expect(limits).toEqual([Number.POSITIVE_INFINITY, expect.closeTo(1.3 * 16, 9)]);
  });
});

describe('the cache', () => {
  const root = temporaryFolder();
  afterAll(() => rmSync(root, { recursive: true }));
  beforeEach(() => vi.stubEnv('XDG_CACHE_HOME', root));
  afterEach(() => vi.unstubAllEnvs());

  const entry = (microBatch: number) => ({
    microBatch,
    threads: 2,
    replicas: 1,
    msPerImage: 1.5,
    why: 'because',
    measured: '2026-01-31',
  });
  const file = () => join(root, 'idat', 'tuning.json');

  it('lies in the user’s cache folder, whatever is absent', async () => {
    expect(cacheFolder()).toBe(join(root, 'idat'));
    expect(await recallTuning('a')).toBe(null);
    await rememberTuning('a', entry(4));
    await rememberTuning('b', entry(8));
    expect(await recallTuning('a')).toEqual(entry(4));
    expect(await recallTuning('b')).toEqual(entry(8));
    vi.stubEnv('XDG_CACHE_HOME', 'relative');
    expect(cacheFolder()).toMatch(/\.cache.idat$/);
  });

  it.each([
    '',
    '{"format": "idat-tuning-3", "entr',
    '{"format": "idat-tuning-1", "entries": {"a": {"microBatch": 1, "threads": 1, "why": "", "measured": ""}}}',
    // what was measured beside other programs was remembered as well
    '{"format": "idat-tuning-2", "entries": {"a": {"microBatch": 1, "threads": 1, "replicas": 1, "why": "", "measured": ""}}}',
    '[]',
    '{"format": "idat-tuning-3", "entries": {"a": {"threads": 0}}}',
  ])('takes a damaged file (%s) for an empty one and replaces it', async (text) => {
    mkdirSync(join(root, 'idat'), { recursive: true });
    writeFileSync(file(), text);
    expect(await recallTuning('a')).toBe(null);
    await rememberTuning('a', entry(2));
    expect(await recallTuning('a')).toEqual(entry(2));
  });

  it('forgets an entry, and no other', async () => {
    await rememberTuning('wrong', entry(4));
    await rememberTuning('right', entry(8));
    await forgetTuning('wrong');
    await forgetTuning('never there');
    expect(await recallTuning('wrong')).toBe(null);
    expect(await recallTuning('right')).toEqual(entry(8));
  });

  it('is not held up for long by a lock that a killed process left', async () => {
    const lock = join(root, 'idat', 'tuning.json.lock');
    mkdirSync(join(root, 'idat'), { recursive: true });
    writeFileSync(lock, identityText({ ...thisProcess(), pid: spawnSync(process.execPath, ['-e', '']).pid }));
    await rememberTuning('after', entry(16));
    expect(await recallTuning('after')).toEqual(entry(16));
    expect(existsSync(lock)).toBe(false);
  });

  it('keeps every entry of writers at the same time', async () => {
    await Promise.all(Array.from({ length: 4 }, (_, i) => rememberTuning(`writer ${i}`, entry(i + 1))));
    for (let i = 0; i < 4; i++) expect(await recallTuning(`writer ${i}`)).toEqual(entry(i + 1));
  });
});

describe('a run', { timeout: 240_000 }, () => {
  const root = temporaryFolder();
  beforeAll(() => void vi.stubEnv('XDG_CACHE_HOME', root));
  afterAll(() => {
    vi.unstubAllEnvs();
    rmSync(root, { recursive: true });
  });

  const resolved = (dir: string) => JSON.parse(readFileSync(join(dir, 'config.json'), 'utf8')).resolved;

  it('measures, says so, remembers, and goes on as it began', async () => {
    const data = await makeImageFolder(root);
    const run = (name: string) => ({ ...settings(data, join(root, name)), microBatch: 'auto' as const, epochs: 2 });
    const notes: string[] = [];
    const stop = new AbortController();
    const onProgress = (event: Progress) => {
      if (event.kind === 'note') notes.push(event.text);
      if (event.kind === 'step') stop.abort();
    };
    await expect(fineTune(run('first'), { onProgress, signal: stop.signal })).rejects.toMatchObject({
      code: 'run.interrupted',
    });
    const first = resolved(join(root, 'first'));
    expect(first.why).toMatch(/^\d images? a call on 1 thread: .* ms an image.*, measured$/);
    expect(notes).toContain(first.why);

    // Whatever a later measurement might say, it is not made: the entry decides, and an old run not even asks for it.
    const path = join(root, 'idat', 'tuning.json');
    const cache = JSON.parse(readFileSync(path, 'utf8'));
    expect(Object.values(cache.entries)).toHaveLength(1);
    for (const kept of Object.values(cache.entries))
      Object.assign(kept as object, { microBatch: 2, why: 'remembered' });
    writeFileSync(path, JSON.stringify(cache));
    await fineTune({ ...run('second'), epochs: 1, warmupEpochs: 0 });
    expect(resolved(join(root, 'second'))).toMatchObject({
      microBatch: 2,
      why: expect.stringMatching(/^remembered, on 2/),
    });
    await resume(join(root, 'first'));
    expect(resolved(join(root, 'first'))).toEqual(first);
  });

  it('watches its pace from the second epoch on, and has what is far off measured again', async () => {
    const data = await makeImageFolder(root);
    const entries = () => JSON.parse(readFileSync(join(root, 'idat', 'tuning.json'), 'utf8')).entries as object;
    const run = (name: string) => ({ ...settings(data, join(root, name)), microBatch: 'auto' as const, epochs: 2 });
    rmSync(join(root, 'idat', 'tuning.json'), { force: true }); // the next start measures
    const notes: string[] = [];
    const onProgress = (event: Progress) => event.kind === 'note' && notes.push(event.text);

    await fineTune(run('watched'), { onProgress });
    const { microBatch } = resolved(join(root, 'watched'));
    expect(pace.promisedMs).toBe(20); // by the clock above
    expect(pace.spent).toHaveLength(4); // of 39 images, 8 an update
    for (const { calls, ms } of pace.spent) {
      expect(calls).toBe(Math.ceil(8 / microBatch));
      expect(ms).toBeGreaterThan(0);
    }
    expect(Object.keys(entries())).toHaveLength(1);
    expect(notes.join('\n')).not.toMatch(/measures again/);

    pace.farOff = true;
    await fineTune(run('far-off'), { onProgress });
    pace.farOff = false;
    expect(notes.filter((text) => /a call takes 160 ms, 8\.0 times more .*measures again/.test(text))).toHaveLength(1);
    expect(resolved(join(root, 'far-off')).microBatch).toBe(microBatch);
    expect(entries()).toEqual({});
    for (const name of ['student.safetensors', 'metrics.jsonl'])
      expect(readFileSync(join(root, 'far-off', name)).equals(readFileSync(join(root, 'watched', name)))).toBe(true);
  });

  it('measures nothing where both are given', async () => {
    const data = await makeImageFolder(root);
    await fineTune({ ...settings(data, join(root, 'given')), epochs: 1, warmupEpochs: 0 });
    expect(resolved(join(root, 'given'))).toEqual({
      device: 'cpu',
      threads: 1,
      prefixThreads: 1,
      microBatch: 8,
      replicas: 1,
    });
  });
});
