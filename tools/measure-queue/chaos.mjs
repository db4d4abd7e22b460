/**
 * One sweep while workers are killed at random, the server is restarted, filled up and taken away: every run must end, none
 * twice, in the bytes of an undisturbed sweep.
 *
 *     node tools/measure-queue/chaos.mjs [--kills 20] [--restarts 3] [--runs 24] [--epochs 40] [--workers 4] [--away 60]
 *         [--every 3]
 */
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, given, info, makeImages, scratch, start, startServer, writePlan } from './setting.mjs';

const { kills, restarts, runs, epochs, workers, away, silence, every, seed } = given({
  ...{
    kills: 20,
    restarts: 3,
    runs: 24,
    epochs: 40,
    workers: 4,
    away: 60,
    silence: 4,
    every: 3,
    seed: Date.now() % 1e6,
  },
});
const root = scratch();
await makeImages(root, 16);
const plan = writePlan(root, { runs, epochs });
const port = await freePort();
const url = `redis://127.0.0.1:${port}`;
mkdirSync(join(root, 'server'));
let server = await startServer(join(root, 'server'), port);
console.log(`${runs} runs of ${epochs} epochs, ${workers} workers, seed ${seed}`);

let state = seed;
const random = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
};

const all = [];
const living = new Set();
const hire = () => {
  const name = `w${all.length + 1}`;
  const args = ['worker', '--queue', url, '--data', root, '--parallel', '1', '--silence', silence, '--name', name];
  const one = start(args.map(String), { cwd: root });
  all.push(one);
  living.add(one);
};
for (let i = 0; i < workers; i++) hire();
const began = performance.now();
const at = () => `${((performance.now() - began) / 1000).toFixed(0).padStart(4)} s`;
const sweep = start(['sweep', plan, '--queue', url, '--out', join(root, 'queued'), '--carry', '0'], { cwd: root });
let over = false;
void sweep.ended.then(() => {
  over = true;
});
const ends = () => (sweep.said.err.match(/^done /gm) ?? []).length;
while (ends() < 1 && !over) await sleep(200);

/** What is to happen, in a random order with the server's troubles spread among the kills. */
const events = Array.from({ length: kills }, () => 'kill');
for (let i = 1; i <= restarts; i++) events.splice(Math.floor((i * events.length) / (restarts + 1)), 0, 'restart');
events.splice(Math.floor(events.length / 3), 0, 'full');
events.splice(Math.floor((2 * events.length) / 3), 0, 'away');
const done = {};
for (const event of events) {
  if (over) break;
  await sleep(2000 * every * random());
  done[event] = (done[event] ?? 0) + 1;
  if (event === 'kill') {
    const victim = [...living][Math.floor(random() * living.size)];
    victim.child.kill('SIGKILL');
    living.delete(victim);
    hire();
  } else if (event === 'restart') {
    await server.kill();
    await sleep(1000);
    server = await startServer(join(root, 'server'), port);
  } else if (event === 'away') {
    await server.kill();
    await sleep(1000 * away);
    server = await startServer(join(root, 'server'), port);
  } else {
    const used = await info(server.redis, 'memory', 'used_memory');
    await server.redis.call('CONFIG', 'SET', 'maxmemory', Math.round(used / 2));
    await sleep(1000 * away);
    await server.redis.call('CONFIG', 'SET', 'maxmemory', 0);
  }
  console.log(`${at()}  ${event} (${ends()} of ${runs} runs at home)`);
}
const outcome = await sweep.ended;
console.log(`${at()}  over: ${JSON.stringify(done)}`);
for (const one of living) one.child.kill('SIGTERM');
const said = await Promise.all(all.map((one) => one.ended));

const results = readFileSync(join(root, 'queued/results.jsonl'), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line));
const told = said.flatMap(({ err }) => [...err.matchAll(/^done {4}(\S+)/gm)].map(([, name]) => name));
const twice = told.filter((name, i) => told.indexOf(name) < i);
const count = (word) => said.reduce((sum, { err }) => sum + (err.match(new RegExp(`^${word} `, 'gm')) ?? []).length, 0);
const sittings = results.map(
  ({ run }) => JSON.parse(readFileSync(join(root, 'queued', run, 'queue.json'), 'utf8')).sittings.length,
);
console.log(
  `exit code ${outcome.code}; ${results.length} of ${runs} ended, ended twice: ${twice.length}; failures ${count('failed')}`,
);
console.log(
  `begun ${count('began')} times, handed back ${count('back')}, lost ${count('lost')}; sittings a run: at most ${Math.max(...sittings)}`,
);

console.log('the same sweep undisturbed, on this machine');
await start(['sweep', plan, '--out', join(root, 'local')], { cwd: root }).ended;
let same = 0;
for (const { run } of results) {
  const equal = ['state.safetensors', 'student.safetensors', 'teacher.safetensors', 'metrics.jsonl'].every((name) =>
    readFileSync(join(root, 'queued', run, name)).equals(readFileSync(join(root, 'local', run, name))),
  );
  if (equal) same++;
  else console.log(`other bytes: ${run}`);
}
console.log(`${same} of ${results.length} runs have the bytes of undisturbed ones`);
await server.kill();
rmSync(root, { recursive: true, force: true });
process.exitCode = results.length === runs && same === runs && twice.length === 0 && outcome.code === 0 ? 0 : 1;
