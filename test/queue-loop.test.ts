/** What a worker and a sweep do when something goes wrong around them: runs here only wait, so that nothing is trained. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { IdatError } from '../src/errors.js';
import { fingerprintsOf } from '../src/experiments/identity.js';
import { prepareSweep } from '../src/experiments/sweep.js';
import { usableCores } from '../src/files/node/usable-cores.js';
import { parseQueueUrl } from '../src/queue/address.js';
import { thisBuild } from '../src/queue/build.js';
import { connect, type Engine, type HeldJob, loadEngine, PREFIX, type RedisClient } from '../src/queue/engine.js';
import { checkedJob, type Job, jobId } from '../src/queue/job.js';
import { laneOf } from '../src/queue/lane.js';
import type { LoopOptions, WorkerEvent } from '../src/queue/loop-options.js';
import type { MadeRun, RunMaker } from '../src/queue/make-run.js';
import { PlaceFinder } from '../src/queue/places.js';
import { runQueueSweep, withdrawSweep } from '../src/queue/queue-sweep.js';
import { noteLane } from '../src/queue/snapshot.js';
import { RunStore } from '../src/queue/store.js';
import { workOnQueue } from '../src/queue/worker.js';
import { SERVER, startServer, type TestServer } from './queue-support.js';
import { makeImageFolder, STUDENT, temporaryFolder } from './train-support.js';

vi.setConfig({ testTimeout: 20_000 });

const SWEEP = '00000000-0000-4000-8000-000000000000';
const BUILD = { key: 'aaaaaaaaaaaa', says: 'build a' };
const root = temporaryFolder();
afterAll(() => rmSync(root, { recursive: true }));

const jobOf = (name: string, more: object = {}): Job =>
  checkedJob({
    ...{ format: 'idat-job-1', sweep: SWEEP, name, settings: { epochs: 2, ...more }, student: null, teacher: null },
    images: { name: 'pets', hub: null, splitSeed: 42, protocol: 'last', fingerprints: {}, blob: null },
    modules: [],
  });
const MADE: MadeRun = { files: new Map(), history: { sittings: [], failures: [] }, seconds: 1 };

it('a job is known by its build and by what its run is made of, not by what carries that', () => {
  const blob = { sha256: 'b'.repeat(64), bytes: 1 };
  const job = jobOf('one');
  const carried = { ...job, images: { ...job.images, blob } };
  expect(jobId(carried, 'lane')).toBe(jobId(job, 'lane'));
  expect(jobId(job, 'another')).not.toBe(jobId(job, 'lane'));
  expect(jobId(jobOf('one', { seed: 2 }), 'lane')).not.toBe(jobId(job, 'lane'));
});

it('images that were found are looked for again when their disk is gone', async () => {
  const disk = join(root, 'disk');
  const data = await makeImageFolder(disk, 5);
  const job = jobOf('one');
  const fingerprints = await fingerprintsOf({ data, splitSeed: 42, protocol: 'last' });
  const asked = { ...job, images: { ...job.images, name: 'colours', fingerprints } } as Job;
  const options = { data: [disk], models: [], modules: null, cache: root, limitBytes: 0, fetch: false };
  const finder = new PlaceFinder({} as RedisClient, 'none', options);
  expect(await finder.find(asked)).toMatchObject({ data });
  renameSync(disk, `${disk}-unmounted`);
  await expect(finder.find(asked)).rejects.toThrow(/colours are not in/);
  renameSync(`${disk}-unmounted`, disk);
  expect(await finder.find(asked)).toMatchObject({ data });
});

describe.skipIf(SERVER === null)('with a server', () => {
  let server: TestServer;
  let engine: Engine;
  let redis: RedisClient;
  let data: string;
  beforeAll(async () => {
    mkdirSync(join(root, 'server'));
    server = await startServer(join(root, 'server'));
    engine = await loadEngine();
    redis = await connect(engine, parseQueueUrl(server.url));
    data = await makeImageFolder(root, 5);
  });
  afterAll(async () => {
    redis?.disconnect();
    await server?.stop();
  });

  const put = async (queue: string, jobs: readonly Job[], build = BUILD) => {
    const name = laneOf(queue, build.key, 'cpu');
    const lane = new engine.Queue(name, { connection: redis, prefix: PREFIX });
    const opts = { priority: 100, attempts: 4, removeOnComplete: true as const };
    await lane.addBulk(
      jobs.map((data) => ({
        name: 'run',
        data,
        opts: { ...opts, jobId: jobId(data, name), backoff: { type: 'exponential', delay: 5000 } },
      })),
    );
    await lane.close();
    await noteLane(redis, queue, name);
  };
  const loop = (queue: string, make: RunMaker, more: Partial<LoopOptions> = {}) => {
    const leave = new AbortController();
    const events: WorkerEvent[] = [];
    const find = async () => ({ data: '/there', student: STUDENT, teacher: null, modules: [] });
    const ended = workOnQueue(
      {
        ...{ engine, redis, queue, build: BUILD, device: 'cpu', make, find, name: 'ada' },
        ...{ onEvent: (event) => events.push(event), ...more },
      },
      leave.signal,
    );
    const stop = () => {
      leave.abort();
      return ended;
    };
    return { ended, events, leave: stop };
  };

  it('a worker goes on when its last run ends while it gives back one that does not fit beside it', async () => {
    let meet = () => {};
    const met = new Promise<void>((resolve) => {
      meet = resolve;
    });
    const done = () => worker.events.some((event) => event.kind === 'done' && event.run === 'narrow');
    class Slow extends engine.Worker {
      override async getNextJob(token: string, options: { block: boolean }): Promise<HeldJob | undefined> {
        const held = await super.getNextJob(token, options);
        if (!held) return held;
        const move = held.moveToDelayed.bind(held);
        held.moveToDelayed = async (at, itsToken) => {
          meet();
          while (!done()) await sleep(10);
          await sleep(50);
          await move(at, itsToken);
        };
        return held;
      }
    }
    await put('beside', [jobOf('narrow', { threads: 1 }), jobOf('wide', { threads: usableCores() })]);
    const make: RunMaker = async ({ job }) => {
      if (job.name === 'narrow') await met;
      else meet(); // one core is as many as both have
      return MADE;
    };
    const worker = loop('beside', make, { engine: { ...engine, Worker: Slow }, slots: 2, untilEmpty: true });
    expect(await worker.ended).toEqual({ done: 2, failed: 0, handedBack: 0 });
  });

  /** A sweep of some seeds for which nobody works. */
  const sweeping = async (queue: string, seeds: number[], folder = queue, priority = 100) => {
    const leave = new AbortController();
    const plan = {
      base: { student: STUDENT, epochs: 2 },
      tasks: [{ name: 'colours', data }],
      grid: { seed: seeds },
    };
    const prepared = await prepareSweep(plan, { out: join(root, folder), oneThread: true });
    const options = { queue: `${server.url}?queue=${queue}`, priority };
    const ended = runQueueSweep(prepared, options, { signal: leave.signal });
    const stop = async () => {
      leave.abort();
      await expect(ended).rejects.toMatchObject({ code: 'sweep.interrupted' });
    };
    return { prepared, options, ended, stop };
  };
  /** Keys of what waits there, and how urgent it is. */
  const waiting = async (queue: string): Promise<Record<string, number>> => {
    const found: Record<string, number> = {};
    for (const lane of (await redis.call('SMEMBERS', `idat-store:${queue}:lanes`)) as string[]) {
      for (const key of (await redis.call('KEYS', `${PREFIX}:${lane}:????????-*`)) as string[]) {
        found[key] = Number(await redis.call('HGET', key, 'priority'));
      }
    }
    return found;
  };
  const until = async (holds: () => Promise<boolean>) => {
    while (!(await holds())) await sleep(50);
  };

  it('a worker whose own machine is at fault gives runs to others, and pauses', async () => {
    await put('faulty', [jobOf('one'), jobOf('two'), jobOf('three')]);
    const find = async () => {
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    };
    const faulty = loop('faulty', async () => MADE, { find, name: 'bob' });
    await until(async () => faulty.events.some(({ kind }) => kind === 'lacks'));
    await sleep(300);
    const keys = Object.keys(await waiting('faulty'));
    const delayed = await redis.call('ZCARD', keys[0]!.replace(/[^:]*$/, 'delayed'));
    expect([keys.length, delayed]).toEqual([3, 1]);
    expect(faulty.events.find(({ kind }) => kind === 'lacks')).toMatchObject({ what: expect.stringMatching(/ENOSPC/) });
    expect(await faulty.leave()).toEqual({ done: 0, failed: 0, handedBack: 0 });
    expect(await loop('faulty', async () => MADE, { untilEmpty: true }).ended).toMatchObject({ done: 3 });
  });

  it('a sweep that is started again finds its jobs, and takes those of another build out', async () => {
    const first = await sweeping('again', [1, 2]);
    await until(async () => Object.keys(await waiting('again')).length === 2);
    await first.stop();
    const { sweep } = JSON.parse(readFileSync(join(root, 'again', 'queue.json'), 'utf8')) as { sweep: string };
    const before = Object.keys(await waiting('again'));
    const dataBefore = await Promise.all(before.map((key) => redis.call('HGET', key, 'data')));
    await put('again', [{ ...jobOf('one'), sweep }]);
    expect(Object.keys(await waiting('again')).length).toBe(3);
    writeFileSync(join(data, '.DS_Store'), 'no picture');
    const second = await sweeping('again', [2, 3], 'again', 7);
    // that of the older plan, of which another sweep may be at work here, as it was
    await until(
      async () =>
        Object.values(await waiting('again'))
          .sort()
          .join() === '100,7,7',
    );
    const kept = Object.entries(await waiting('again')).find(([key, at]) => before.includes(key) && at === 7)![0];
    expect(dataBefore).toContain(await redis.call('HGET', kept!, 'data')); // the same zip of pictures
    await second.stop();
  });

  it('a server that has lost all it had is given it again, by each sweep what is its own', async () => {
    const sweeps = [await sweeping('lost', [1, 2], 'one'), await sweeping('lost', [3], 'two')];
    const jobs = async () => Object.keys(await waiting('lost'));
    await until(async () => (await jobs()).length === 3);
    const before = await jobs();
    await redis.call('FLUSHDB');
    const now = performance.now.bind(performance);
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now() + 31_000); // half a minute later
    await until(async () => (await jobs()).length === 3);
    clock.mockRestore();
    expect((await jobs()).sort()).toEqual(before.sort());
    expect(((await redis.call('KEYS', 'idat-store:lost:blob:*')) as string[]).length).toBe(1);
    for (const { stop } of sweeps) await stop();
  });

  it('what a sweep that is over has not fetched goes in two weeks, or when it is withdrawn', async () => {
    const store = new RunStore(redis, 'over');
    const going = await sweeping('over', [1]);
    await until(async () => Object.keys(await waiting('over')).length === 1);
    const { sweep } = JSON.parse(readFileSync(join(root, 'over', 'queue.json'), 'utf8')) as { sweep: string };
    const { term } = (await store.take('of an older plan'))!;
    await store.end({ id: 'of an older plan', sweep, term }, 'done', new Map(), MADE.history, 1);
    const fails = async () => {
      throw new IdatError('queue.size', 'too large');
    };
    const worker = loop('over', fails, { build: thisBuild() });
    expect((await going.ended).failed).toMatchObject([{ code: 'queue.size' }]);
    await worker.leave();
    const ended = await store.ended(sweep);
    expect(ended.length).toBe(2);
    for (const id of ended) {
      const days = Number(await redis.call('TTL', `idat-store:over:run:${id}`)) / 86_400;
      expect(days).toBeGreaterThan(13);
      expect(days).toBeLessThanOrEqual(14);
    }
    await withdrawSweep(going.prepared, going.options);
    expect(await redis.call('KEYS', 'idat-store:over:run:*')).toEqual([]);
  });

  it('a worker that is at a run which the server has forgotten does not write beside its next one', async () => {
    const store = new RunStore(redis, 'forgotten');
    const { term } = (await store.take('x'))!;
    await redis.call('FLUSHDB');
    const next = (await store.take('x'))!;
    const write = (its: number) => store.keep('x', its, new Map(), MADE.history, true);
    expect([next.term > term, await write(term), await write(next.term)]).toEqual([true, false, true]);
  });
});
