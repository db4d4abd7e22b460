/**
 * Many workers and many runs on the queue's own code, with work that only waits: what gives out first?
 *
 *     node tools/measure-queue/crowd.mjs [--workers 1000] [--runs 100000] [--processes 4] [--ms 2000] [--epochs 3]
 *         [--kilobytes 20] [--window 5000] [--enough RUNS]
 *
 * Each worker is the loop of `idat worker` with connections of its own; a run waits `ms` (half to one and a half of it), keeps
 * `epochs` states of so many kilobytes and ends with as much. Workers share a few processes, as they would not in earnest.
 * `enough` ends it after so many.
 */
import { fork } from 'node:child_process';
import { setMaxListeners } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseQueueUrl } from '../../dist/queue/address.js';
import { connect, loadEngine, PREFIX } from '../../dist/queue/engine.js';
import { jobId } from '../../dist/queue/job.js';
import { laneOf } from '../../dist/queue/lane.js';
import { noteLane, SnapshotReader } from '../../dist/queue/snapshot.js';
import { RunStore } from '../../dist/queue/store.js';
import { workOnQueue } from '../../dist/queue/worker.js';
import { client, freePort, given, info, median, scratch, startServer } from './setting.mjs';

const QUEUE = 'crowd';
const BUILD = { key: 'fake', says: 'fake' };
const SWEEP = '00000000-0000-4000-8000-000000000000';
const HASH = 'a'.repeat(64);

if (process.send) await work(JSON.parse(process.argv[2]));
else await measure();

/** One process of workers. */
async function work({ port, count, ms, epochs, kilobytes }) {
  const engine = await loadEngine();
  const files = new Map([['state.safetensors', new Uint8Array(1000 * kilobytes).fill(7)]]);
  const make = async ({ keep, history, signal }) => {
    const whole = ms * (0.5 + Math.random());
    for (let epoch = 0; epoch < epochs; epoch++) {
      await sleep(whole / Math.max(1, epochs), undefined, { signal }).catch(() => {});
      await keep(files, history);
    }
    return { files, history, seconds: whole / 1000 };
  };
  const find = async () => ({ data: '/nowhere', teacher: null, modules: [] });
  const stop = new AbortController();
  setMaxListeners(0, stop.signal);
  process.on('message', () => stop.abort());
  const workers = Array.from({ length: count }, async (_, i) => {
    const redis = await connect(engine, parseQueueUrl(`redis://127.0.0.1:${port}`), 60_000);
    const name = `${process.pid}-${i}`;
    const options = { engine, redis, queue: QUEUE, build: BUILD, device: 'cpu', name, slots: 1, make, find };
    const outcome = await workOnQueue(options, stop.signal);
    redis.disconnect();
    return outcome.done;
  });
  process.send('ready');
  const done = (await Promise.all(workers)).reduce((a, b) => a + b, 0);
  process.send({ done, cpu: process.cpuUsage() });
  process.disconnect();
}

async function measure() {
  const settings = given({
    workers: 1000,
    runs: 100_000,
    processes: 4,
    ms: 2000,
    epochs: 3,
    kilobytes: 20,
    window: 5000,
    enough: 0,
  });
  const { workers, runs, processes, ms, epochs, kilobytes, window } = settings;
  const enough = settings.enough || runs;
  console.log(JSON.stringify(settings));
  const root = scratch();
  mkdirSync(join(root, 'server'));
  const port = await freePort();
  const server = await startServer(join(root, 'server'), port, ['--maxclients', 20_000]);
  const engine = await loadEngine();
  const redis = await client(port);
  const store = new RunStore(redis, QUEUE);
  const lane = laneOf(QUEUE, BUILD.key, 'cpu');
  const queue = new engine.Queue(lane, { connection: redis, prefix: PREFIX });
  await noteLane(redis, QUEUE, lane);
  const children = Array.from({ length: processes }, (_, i) => {
    const count = Math.floor(workers / processes) + (i < workers % processes ? 1 : 0);
    const child = fork(fileURLToPath(import.meta.url), [JSON.stringify({ port, count, ms, epochs, kilobytes })]);
    const ended = new Promise((resolve) =>
      child.on('message', (message) => message.done !== undefined && resolve(message)),
    );
    return { child, ended };
  });
  await Promise.all(children.map(({ child }) => new Promise((resolve) => child.once('message', resolve))));
  while (Number(await redis.call('ZCARD', `idat-store:${QUEUE}:workers`)) < workers) await sleep(200);
  console.log(`${workers} workers have joined, ${await info(redis, 'clients', 'connected_clients')} connections`);

  const jobOf = (i) => ({
    ...{ format: 'idat-job-1', sweep: SWEEP, name: `run/${i}`, settings: { epochs: 2, threads: 1, seed: i } },
    images: { name: 'pets', hub: null, splitSeed: 42, protocol: 'last', fingerprints: { test: HASH }, blob: null },
    ...{
      student: { name: 'vit_micro_patch4_32.cifar10', file: false, sha256: HASH, blob: null },
      teacher: null,
      modules: [],
    },
  });
  const opts = (id) => ({
    ...{ jobId: id, priority: 100, attempts: 4, backoff: { type: 'exponential', delay: 5000 }, removeOnComplete: true },
  });
  const snapshots = new SnapshotReader(engine, redis, QUEUE);
  const looks = [];
  const began = performance.now();
  const [commands, cpu] = [await info(redis, 'stats', 'total_commands_processed'), await serverSeconds(redis)];
  let [added, fetched, peak, told] = [0, 0, 0, began];
  const fetchOne = async (id) => {
    await store.ending(id);
    await store.files(id);
    await store.history(id);
    await store.forget(id, SWEEP);
    fetched++;
  };
  while (fetched < enough) {
    while (added < runs && added - fetched < window) {
      const jobs = [];
      for (; jobs.length < 500 && added < runs; added++) {
        const data = jobOf(added);
        jobs.push({ name: 'run', data, opts: opts(jobId(data, lane)) });
      }
      await queue.addBulk(jobs);
    }
    const ended = await store.ended(SWEEP);
    for (let at = 0; at < ended.length && performance.now() - told < 10_000; at += 8) {
      await Promise.all(ended.slice(at, at + 8).map(fetchOne));
    }
    const now = performance.now();
    if (now - told > 5000) {
      told = now;
      peak = Math.max(peak, await info(redis, 'memory', 'used_memory'));
      const { counts, workers: there } = await snapshots.read();
      looks.push(performance.now() - now);
      const busy = there.filter((one) => one.runs.length > 0).length;
      const share = (((await serverSeconds(redis)) - cpu) / ((now - began) / 1000)) * 100;
      console.log(
        `${((now - began) / 1000).toFixed(0)} s: ${fetched} fetched, ${counts.waiting} waiting, ${counts.running} running, ` +
          `${busy} workers busy, server ${share.toFixed(0)} % of a core`,
      );
    }
    await sleep(50);
  }
  const seconds = (performance.now() - began) / 1000;
  const asked = (await info(redis, 'stats', 'total_commands_processed')) - commands;
  const server_ = (await serverSeconds(redis)) - cpu;
  console.log(
    `${fetched} runs in ${seconds.toFixed(1)} s: ${(fetched / seconds).toFixed(0)} a second; ideal ${((1000 * workers) / ms).toFixed(0)}`,
  );
  console.log(
    `server: ${((1000 * server_) / fetched).toFixed(2)} ms of a core and ${(asked / fetched).toFixed(1)} commands a run, ${((100 * server_) / seconds).toFixed(0)} % of a core; memory at most ${(peak / 2 ** 20).toFixed(0)} MiB; a look at the queue ${median(looks)?.toFixed(0) ?? '-'} ms`,
  );
  for (const { child } of children) child.send('stop');
  const said = await Promise.all(children.map(({ ended }) => ended));
  const client_ = said.reduce((sum, one) => sum + (one.cpu.user + one.cpu.system) / 1e6, 0);
  const made = said.reduce((sum, one) => sum + one.done, 0);
  const own = process.cpuUsage();
  console.log(
    `workers: ${made} runs made, ${((1000 * client_) / fetched).toFixed(2)} ms of a core a run; the sweep's side: ${((own.user + own.system) / 1000 / fetched).toFixed(2)} ms`,
  );
  await snapshots.close();
  await queue.close();
  redis.disconnect();
  await server.kill();
  rmSync(root, { recursive: true, force: true });
  process.exitCode = made >= enough ? 0 : 1;
}

async function serverSeconds(redis) {
  return (await info(redis, 'cpu', 'used_cpu_user')) + (await info(redis, 'cpu', 'used_cpu_sys'));
}
