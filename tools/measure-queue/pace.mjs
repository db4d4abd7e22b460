/**
 * Runs an hour by way of a queue beside as many runs at a time of a sweep on this machine, in turns.
 *
 *     node tools/measure-queue/pace.mjs [--workers 2] [--pairs 3] [--runs 4] [--epochs 60]
 *
 * The clock is told, and what all processes took of the processors together, which other programs on the machine disturb less.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, given, info, makeImages, median, scratch, start, startServer, writePlan } from './setting.mjs';

const { workers, pairs, runs, epochs } = given({ workers: 2, pairs: 3, runs: 4, epochs: 60 });
const root = scratch();
await makeImages(root, 16);
const plan = writePlan(root, { runs, epochs });
const port = await freePort();
mkdirSync(join(root, 'server'));
const { redis, kill } = await startServer(join(root, 'server'), port);
const url = `redis://127.0.0.1:${port}`;
const serverSeconds = async () =>
  (await info(redis, 'cpu', 'used_cpu_user')) + (await info(redis, 'cpu', 'used_cpu_sys'));

async function local(i) {
  const { code, err, wall, cpu } = await start(
    ['sweep', plan, '--parallel', `${workers}`, '--out', join(root, `local-${i}`)],
    { cwd: root, timed: true },
  ).ended;
  if (code !== 0) throw new Error(err);
  return { wall, cpu };
}

async function queued(i) {
  const before = await serverSeconds();
  const args = ['worker', '--queue', url, '--data', root, '--parallel', '1', '--until-empty'];
  // the sweep is first, so that workers find something to do
  const sweep = start(['sweep', plan, '--queue', url, '--carry', '0', '--out', join(root, `queued-${i}`)], {
    cwd: root,
    timed: true,
  });
  while (!/^queue: /m.test(sweep.said.err)) await sleep(50);
  const from = performance.now();
  const own = Array.from({ length: workers }, () => start(args, { cwd: root, timed: true }));
  const { code, err, cpu } = await sweep.ended;
  const wall = (performance.now() - from) / 1000;
  if (code !== 0) throw new Error(err);
  const worked = await Promise.all(own.map(({ ended }) => ended));
  const server = (await serverSeconds()) - before;
  return { wall, cpu: cpu + server + worked.reduce((sum, one) => sum + one.cpu, 0), server };
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
for (const what of ['wall', 'cpu']) {
  const [here, there] = [found.local, found.queued].map((list) => median(list.map((one) => one[what])));
  const ratios = found.local.map((one, i) => found.queued[i][what] / one[what]);
  const pace =
    what === 'wall'
      ? `; ${((3600 * runs) / here).toFixed(0)} and ${((3600 * runs) / there).toFixed(0)} runs an hour`
      : '';
  console.log(
    `${what}: local ${here.toFixed(2)} s, queue ${there.toFixed(2)} s; of each pair ${(100 * (median(ratios) - 1)).toFixed(1)} % more${pace}`,
  );
}
await kill();
rmSync(root, { recursive: true, force: true });
