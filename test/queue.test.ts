/** Runs by way of a queue: what a stranger may put there, and that a run ends once and in the same bytes whatever befalls workers. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { queueLines } from '../src/cli/queue-view.js';
import type { SweepPlan } from '../src/experiments/plan.js';
import { prepareSweep, sweep } from '../src/experiments/sweep.js';
import { parseQueueUrl } from '../src/queue/address.js';
import { connect, type Engine, loadEngine, PREFIX, type RedisClient, withoutSecrets } from '../src/queue/engine.js';
import { checkedJob, type Job, jobId, settingsOf } from '../src/queue/job.js';
import type { WorkerEvent } from '../src/queue/loop-options.js';
import { type QueueSweepControl, runQueueSweep } from '../src/queue/queue-sweep.js';
import { startWorker, type WorkerOptions } from '../src/queue/serve.js';
import { paceOf } from '../src/queue/snapshot.js';
import { RunStore } from '../src/queue/store.js';
import { SERVER, startServer, type TestServer } from './queue-support.js';
import { makeImageFolder, runBytes, STUDENT, settings, TEACHER, temporaryFolder } from './train-support.js';

// processes on a machine that may be busy
vi.setConfig({ testTimeout: 120_000 });

const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const root = temporaryFolder();
afterAll(() => rmSync(root, { recursive: true }));
const at = (...path: string[]) => join(root, ...path);

const HASH = 'a'.repeat(64);
const job = (more: object = {}): unknown => ({
  format: 'idat-job-1',
  sweep: '00000000-0000-4000-8000-000000000000',
  name: 'pets/kl/seed-1',
  settings: { epochs: 2, threads: 1 },
  images: { name: 'pets', hub: null, splitSeed: 42, protocol: 'last', fingerprints: { test: HASH }, blob: null },
  student: { name: STUDENT, file: false, sha256: HASH, blob: null },
  teacher: null,
  modules: [],
  ...more,
});
const images = (more: object) => ({ images: { ...(job() as Job).images, ...more } });
const student = (more: object) => ({ student: { ...(job() as Job).student, ...more } });

describe('a job', () => {
  it('is read as it was written', () => {
    expect(checkedJob(job())).toEqual(job());
    expect(settingsOf(checkedJob(job()), { data: '/there' })).toMatchObject({
      data: '/there',
      epochs: 2,
      splitSeed: 42,
    });
  });

  it.each([
    ['a path for images', images({ name: '../../etc' })],
    ['a drive', images({ name: 'C:pets' })],
    ['a folder above', images({ name: '..' })],
    ['a path on the hub', images({ hub: 'hf-hub-data:../../etc' })],
    ['a path for weights', student({ name: '/etc/passwd' })],
    ['a path for a file of weights', student({ name: '../w.safetensors', file: true })],
    [
      'a path in a name of the hub, for a file from the store',
      student({ name: 'hf-hub:x/../../../evil', blob: { sha256: HASH, bytes: 1 } }),
    ],
    ['a path for a module', { modules: [{ name: '../evil.js', sha256: HASH }] }],
    ['a setting that is a path', { settings: { epochs: 2, cacheDir: '/root' } }],
    ['another place for the run', { settings: { epochs: 2, out: '/root' } }],
    ['an unknown setting', { settings: { epochs: 2, exec: 'rm' } }],
    ['further keys', { exec: 'rm' }],
    ['much', { name: 'x', settings: { epochs: 2, variant: 'x'.repeat(70_000) } }],
    ['no hash', student({ sha256: 'abc' })],
  ])('with %s is refused', (_, more) => {
    expect(() => checkedJob(job(more))).toThrow(expect.objectContaining({ code: 'queue.job' }));
  });

  it('cannot ask for more threads than machines have, or for splits that its settings do not make', () => {
    const asking = (more: object) => () => settingsOf(checkedJob(job(more)), { data: '/there' });
    expect(asking({ settings: { epochs: 2, threads: 64, replicas: 64 } })).toThrow(/4096 threads/);
    expect(asking({ settings: { epochs: 2, splitSeed: 7 } })).toThrow(/other splits/);
  });

  it('cannot name a file of code as method or loss', () => {
    for (const name of ['./evil.js', '/tmp/evil.mjs']) {
      for (const more of [{ method: name }, { distill: name }]) {
        const asked = checkedJob(job({ settings: { epochs: 2, ...more } }));
        expect(() => settingsOf(asked, { data: '/there', teacher: TEACHER })).toThrow(/evil/);
      }
    }
  });
});

describe('the address of a queue', () => {
  it('is taken apart, and shown without its secrets', () => {
    const address = parseQueueUrl('rediss://ada:s%40cret@host:7000/3?queue=team', {});
    expect(address).toMatchObject({ host: 'host', port: 7000, tls: true, username: 'ada', password: 's@cret', db: 3 });
    expect(address).toMatchObject({ name: 'team', shown: 'rediss://host:7000/3?queue=team' });
    expect(withoutSecrets('no s@cret of ada at redis://ada:x@host', address)).toBe('no … of … at redis://host');
  });

  it('has its password from the environment, and none is told of one that is wrong', () => {
    expect(parseQueueUrl('redis://host', { IDAT_QUEUE_PASSWORD: 'quiet' }).password).toBe('quiet');
    for (const wrong of ['http://:secret@host', 'redis://:secret@host/a/b', 'redis://:secret@host?x=1', 'secret']) {
      expect(() => parseQueueUrl(wrong)).toThrow(expect.objectContaining({ code: 'config.queue' }));
      expect(() => parseQueueUrl(wrong)).not.toThrow(/secret/);
    }
  });
});

it('the pace is that of the last quarter of an hour', () => {
  const minute = 60_000;
  const ends = [100, 99, 98, 97, 50].map((at_) => ({ at: at_ * minute, ms: 1000 }));
  expect(paceOf(ends, 100 * minute)).toBeCloseTo(60);
  expect(paceOf(ends.slice(0, 1), 100 * minute)).toBe(null);
});

it('a queue is told in lines as wide as the terminal', () => {
  const run = { id: 'x', name: 'pets/kl/seed-1', fraction: 0.5, secondsLeft: 60 };
  const worker = {
    name: 'ada',
    lane: 'l',
    build: 'b',
    device: 'cpu',
    cores: 2,
    slots: 2,
    done: 3,
    runs: [run],
    lacks: [],
  };
  const idle = { ...worker, name: 'bob', runs: [], lacks: ['the images of \u001b[31mpets'] };
  const counts = { waiting: 7, running: 1, setAside: 2, parked: 1 };
  const lines = queueLines({ counts, workers: [idle, worker], perHour: 12.3, secondsLeft: 3600 }, 100);
  expect(lines[0]).toBe('queue: 1 running, 7 waiting, 2 set aside, 1 given up, 12 an hour, about 1:00:00 left');
  expect(lines[1]).toBe('  ada (cpu, 1/2, 3 done)  pets/kl/seed-1 50%');
  expect(lines[2]).toContain('bob (cpu, 0/2, 3 done)  lacks the images of');
  for (const line of queueLines({ counts, workers: [worker], perHour: null, secondsLeft: null }, 30)) {
    expect(line.length).toBeLessThanOrEqual(30);
  }
});

if (SERVER === null) console.warn('neither redis-server nor valkey-server is installed: queues are not tried');

describe.skipIf(SERVER === null)('with a server', () => {
  let server: TestServer;
  let engine: Engine;
  let redis: RedisClient;
  let data: string;
  beforeAll(async () => {
    data = await makeImageFolder(root, 8);
    mkdirSync(at('server'));
    server = await startServer(at('server'), ['--requirepass', 'hush']);
    process.env.IDAT_QUEUE_PASSWORD = 'hush';
    engine = await loadEngine();
    redis = await connect(engine, parseQueueUrl(server.url, process.env));
  });
  afterAll(async () => {
    delete process.env.IDAT_QUEUE_PASSWORD;
    redis?.disconnect();
    await server?.stop();
  });

  const { data: _, out: __, ...quick } = settings('', '');
  const plan = (more: Partial<SweepPlan> = {}): SweepPlan => ({
    base: { ...quick, epochs: 10, student: STUDENT, teacher: TEACHER, method: 'parallel' },
    tasks: [{ name: 'colours', data }],
    grid: { distill: ['kl'], seed: [1] },
    ...more,
  });
  const queued = async (name: string, wanted: SweepPlan, control: QueueSweepControl = {}, carryBytes?: number) =>
    runQueueSweep(
      await prepareSweep(wanted, { out: at(name), oneThread: true }),
      { queue: `${server.url}?queue=${name}`, ...(carryBytes !== undefined && { carryBytes }) },
      control,
    );
  const worker = (name: string, more: Partial<WorkerOptions> = {}, events: WorkerEvent[] = []) => {
    const leave = new AbortController();
    const options = { queue: `${server.url}?queue=${name}`, silence: 2, name: 'ada', ...more };
    const ended = startWorker(options, { signal: leave.signal, onEvent: (event) => events.push(event) });
    const stop = () => {
      leave.abort();
      return ended;
    };
    return { ended, events, leave: stop };
  };
  const until = async (holds: () => unknown) => {
    while (!holds()) await sleep(50);
  };

  it('brings runs home in the bytes of a sweep on this machine, its images by way of the store', async () => {
    const there = worker('plain');
    const notes: string[] = [];
    const outcome = await queued('plain', plan(), { onNote: (text) => notes.push(text) });
    expect((await there.leave()).done).toBe(1);
    const local = await sweep(plan(), { out: at('local'), oneThread: true });
    expect(outcome.results.map((one) => one.identity)).toEqual(local.results.map((one) => one.identity));
    const name = outcome.results[0]!.run;
    expect(runBytes(at('plain', name))).toEqual(runBytes(at('local', name)));
    const [ours, theirs] = ['plain', 'local'].map((where) => {
      const text = readFileSync(at(where, name, 'config.json'), 'utf8');
      return JSON.parse(text.replaceAll(at(where), '')) as object;
    });
    expect(ours).toEqual(theirs);
    const files = readdirSync(at('plain'), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    for (const { parentPath, name } of files)
      expect(readFileSync(join(parentPath, name), 'latin1')).not.toContain('hush');
    expect(await redis.call('KEYS', 'idat-store:plain:blob*')).toEqual([]);
  });

  /** A worker in a process of its own. */
  const spawned = (name: string): { child: ChildProcess; text: () => string; ended: Promise<unknown> } => {
    const args = ['worker', '--queue', `${server.url}?queue=${name}`, '--silence', '2', '--parallel', '1'];
    const child = spawn(process.execPath, [MAIN, ...args, '--data', root], { stdio: ['ignore', 'ignore', 'pipe'] });
    let text = '';
    child.stderr!.on('data', (chunk) => {
      text += chunk;
    });
    return { child, text: () => text, ended: new Promise((resolve) => child.once('close', resolve)) };
  };

  it('goes on elsewhere from the last epoch when a worker is killed or leaves, to the same bytes', async () => {
    const store = new RunStore(redis, 'killed');
    const first = spawned('killed');
    const notes: string[] = [];
    const coming = queued('killed', plan(), { onNote: (text) => notes.push(text) }, 0);
    const epochs = async () => {
      const [key] = (await redis.call('KEYS', 'idat-store:killed:run:*')) as string[];
      if (key === undefined) return 0;
      const kept = await store.files(key.slice('idat-store:killed:run:'.length));
      return new TextDecoder().decode(kept.get('timings.jsonl') ?? new Uint8Array()).split('\n').length - 1;
    };
    while ((await epochs()) < 2) await sleep(20);
    first.child.kill('SIGKILL');
    await first.ended;
    const second = spawned('killed');
    const reached = await epochs();
    while ((await epochs()) < reached + 2) await sleep(20);
    second.child.kill('SIGTERM');
    await second.ended;
    expect(second.text()).toContain('(goes on)');
    expect(second.text()).toMatch(/^back {4}colours/m);
    const third = worker('killed', { data: [root] });
    const { results, failed } = await coming;
    await third.leave();
    expect([results.length, failed]).toEqual([1, []]);
    const name = results[0]!.run;
    expect(runBytes(at('killed', name))).toEqual(runBytes(at('local', name))); // of the test before
    const { sittings } = JSON.parse(readFileSync(at('killed', name, 'queue.json'), 'utf8'));
    expect(sittings.length).toBe(3);
    expect(sittings[1].fromEpoch).toBeGreaterThanOrEqual(2);
    expect(sittings[2].fromEpoch).toBeGreaterThan(sittings[1].fromEpoch);
  });

  it('leaves runs to others whose images a worker lacks, and says which', async () => {
    const without = worker('lacking', { name: 'bob' });
    const notes: string[] = [];
    const coming = queued(
      'lacking',
      plan({ base: { ...plan().base, epochs: 2 } }),
      { onNote: (text) => notes.push(text) },
      0,
    );
    await until(() => without.events.some(({ kind }) => kind === 'lacks'));
    const has = worker('lacking', { data: [data] });
    expect((await coming).results.length).toBe(1);
    expect(await without.leave()).toEqual({ done: 0, failed: 0, handedBack: 0 });
    expect((await has.leave()).done).toBe(1);
    expect(notes.join()).toContain('the images of colours are not in a folder of data: none is given');
  });

  it('gives up a run that fails twice for one reason, and a job that is none at once', async () => {
    const broken = at('broken');
    mkdirSync(join(broken, 'red'), { recursive: true });
    mkdirSync(join(broken, 'blue'));
    for (const name of ['red', 'blue']) for (let i = 0; i < 5; i++) writeFileSync(join(broken, name, `${i}.png`), 'no');
    const there = worker('parked');
    const bad = { tasks: [{ name: 'broken', data: broken }] };
    const { failed } = await queued('parked', plan(bad));
    const failures = there.events.filter(({ kind }) => kind === 'failed');
    expect(failures.map((event) => event.kind === 'failed' && event.parked)).toEqual([false, true]);
    expect(failed[0]).toMatchObject({ code: 'data.all-unreadable', message: expect.stringContaining('worker ada') });

    expect((await queued('parked', plan(bad))).failed.length).toBe(1); // the same sweep tries again
    expect(there.events.filter(({ kind }) => kind === 'failed').length).toBe(4);

    const lane = ((await redis.call('SMEMBERS', 'idat-store:parked:lanes')) as string[])[0]!;
    const queue = new engine.Queue(lane, { connection: redis, prefix: PREFIX });
    const opts = { jobId: 'x/../y', priority: 1, attempts: 9, removeOnComplete: true as const };
    await queue.addBulk([
      { name: 'run', data: { exec: 'rm' }, opts: { ...opts, backoff: { type: 'exponential', delay: 1 } } },
    ]);
    await until(() => there.events.filter(({ kind }) => kind === 'failed').length === 5);
    await there.leave();
    expect((await queue.getJobCounts('failed')).failed).toBe(2);
    await queue.close();
  });

  it('lets nobody write to a run that has gone on elsewhere, and end one twice', async () => {
    const store = new RunStore(redis, 'terms');
    const id = jobId(job() as Job, 'lane');
    const none = { sittings: [], failures: [] };
    const file = (text: string) => new Map([['config.json', new TextEncoder().encode(text)]]);
    const [first, second] = [(await store.take(id))!.term, (await store.take(id))!.term];
    expect(await store.keep(id, first, file('old'), none, true)).toBe(false);
    expect(await store.keep(id, second, file('new'), none, true)).toBe(true);
    const end = (term: number) => store.end({ id, sweep: 's', term }, 'done', file('end'), none, 1);
    expect([await end(first), await end(second), await end(second)]).toEqual([false, true, false]);
    expect(await store.take(id)).toBe(null);
    expect(await store.ended('s')).toEqual([id]);
    await store.forget(id, 's');
    expect([await store.take(id), await store.ended('s'), (await store.files(id)).size]).toEqual([null, [], 0]);
  });

  it('says in a sentence when it cannot be reached', async () => {
    process.env.IDAT_QUEUE_PASSWORD = 'wrong';
    await expect(startWorker({ queue: server.url })).rejects.toMatchObject({
      code: 'queue.connect',
      message: expect.not.stringContaining('wrong,'),
    });
    process.env.IDAT_QUEUE_PASSWORD = 'hush';
  });
});
