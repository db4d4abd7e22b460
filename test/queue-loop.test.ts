/** What a worker and a sweep do when something goes wrong around them: runs here only wait, so that nothing is trained. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { usableCores } from '../src/files/node/usable-cores.js';
import { parseQueueUrl } from '../src/queue/address.js';
import { connect, type Engine, type HeldJob, loadEngine, PREFIX, type RedisClient } from '../src/queue/engine.js';
import { checkedJob, type Job, jobId } from '../src/queue/job.js';
import { laneOf } from '../src/queue/lane.js';
import type { MadeRun, RunMaker } from '../src/queue/make-run.js';
import { type LoopOptions, type WorkerEvent, workOnQueue } from '../src/queue/worker.js';
import { SERVER, startServer, type TestServer } from './queue-support.js';
import { STUDENT, temporaryFolder } from './train-support.js';

vi.setConfig({ testTimeout: 60_000 });

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

describe.skipIf(SERVER === null)('with a server', () => {
  let server: TestServer;
  let engine: Engine;
  let redis: RedisClient;
  beforeAll(async () => {
    mkdirSync(join(root, 'server'));
    server = await startServer(join(root, 'server'));
    engine = await loadEngine();
    redis = await connect(engine, parseQueueUrl(server.url));
  });
  afterAll(async () => {
    redis?.disconnect();
    await server?.stop();
  });

  const put = async (queue: string, jobs: readonly Job[], build = BUILD) => {
    const lane = new engine.Queue(laneOf(queue, build.key, 'cpu'), { connection: redis, prefix: PREFIX });
    const opts = { priority: 100, attempts: 4, removeOnComplete: true as const };
    await lane.addBulk(
      jobs.map((data) => ({
        name: 'run',
        data,
        opts: { ...opts, jobId: jobId(data), backoff: { type: 'exponential', delay: 5000 } },
      })),
    );
    await lane.close();
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
});
