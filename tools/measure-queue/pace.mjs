/**
 * Runs an hour by way of a queue beside as many runs at a time of a sweep on this machine, in turns.
 *
 *     node tools/measure-queue/pace.mjs [--workers 2] [--pairs 3] [--runs 4] [--epochs 60] [--images 16]
 *
 * `--images` are those of each of three classes. The clock is told, and besides what the processes that make no runs took of the processors (sweep, workers, server), which
 * other programs on the machine disturb less: what the queue costs is the difference.
 */
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, given, info, makeImages, median, scratch, start, startServer, writePlan } from './setting.mjs';

const { workers, pairs, runs, epochs, images } = given({ workers: 2, pairs: 3, runs: 4, epochs: 60, images: 16 });
const root = scratch();
await makeImages(root, images);
const plan = writePlan(root, { runs, epochs });
const port = await freePort();
mkdirSync(join(root, 'server'));
const { redis, kill } = await startServer(join(root, 'server'), port);
const url = `redis://127.0.0.1:${port}`;
const serverSeconds = async () =>
  (await info(redis, 'cpu', 'used_cpu_user')) + (await info(redis, 'cpu', 'used_cpu_sys'));

/** Seconds that a process itself took of the processors, without its children; those of which it has taken leave count in none. */
const ticksOf = (pid) => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return 0;
  }
};

/** What a sweep's own process took, by looks at it until it ends. */
async function watched({ child, ended }) {
  let own = 0;
  const timer = setInterval(() => {
    own = Math.max(own, ticksOf(child.pid));
  }, 100);
  const { code, err } = await ended;
  clearInterval(timer);
  if (code !== 0) throw new Error(err);
  return own;
}

async function local(i) {
  const from = performance.now();
  const args = ['sweep', plan, '--parallel', `${workers}`, '--out', join(root, `local-${i}`)];
  const own = await watched(start(args, { cwd: root }));
  return { wall: (performance.now() - from) / 1000, own };
}

async function queued(i) {
  const args = ['worker', '--queue', url, '--data', root, '--parallel', '1'];
  const hired = Array.from({ length: workers }, () => start(args, { cwd: root }));
  while (hired.some(({ said }) => !said.err.includes('works with'))) await sleep(50);
  const server = await serverSeconds();
  const before = hired.map(({ child }) => ticksOf(child.pid));
  const from = performance.now();
  const sweep = start(['sweep', plan, '--queue', url, '--carry', '0', '--out', join(root, `queued-${i}`)], {
    cwd: root,
  });
  const own = await watched(sweep);
  const wall = (performance.now() - from) / 1000;
  const worked = hired.reduce((sum, { child }, n) => sum + ticksOf(child.pid) - before[n], 0);
  const asked = (await serverSeconds()) - server;
  for (const { child } of hired) child.kill('SIGTERM');
  await Promise.all(hired.map(({ ended }) => ended));
  return { wall, own: own + worked + asked };
}

const found = { local: [], queued: [] };
for (let i = 0; i < pairs; i++) {
  const turns = i % 2 === 0 ? ['local', 'queued'] : ['queued', 'local'];
  for (const turn of turns) {
    const one = await (turn === 'local' ? local(i) : queued(i));
    found[turn].push(one);
    console.log(turn.padEnd(7), ...Object.entries(one).map(([name, value]) => `${name} ${value.toFixed(2)} s`));
  }
}
for (const what of ['wall', 'own']) {
  const [here, there] = [found.local, found.queued].map((list) => median(list.map((one) => one[what])));
  console.log(`${what}: local ${here.toFixed(2)} s, queue ${there.toFixed(2)} s`);
}
const ratios = found.local.map((one, i) => found.queued[i].wall / one.wall);
const [here, there] = [found.local, found.queued].map((list) => (3600 * runs) / median(list.map((one) => one.wall)));
console.log(
  `${here.toFixed(0)} and ${there.toFixed(0)} runs an hour; the clock of each pair: ${ratios.map((one) => `${(100 * (one - 1)).toFixed(0)} %`).join(', ')} more`,
);
await kill();
rmSync(root, { recursive: true, force: true });
