/** What the measurements of docs/queue.md share: a server, a data set, a plan, and processes that are waited for. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { parseQueueUrl } from '../../dist/queue/address.js';
import { connect, loadEngine } from '../../dist/queue/engine.js';
import { randomStream } from '../../dist/random.js';

export const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
export const scratch = () => mkdtempSync(join(tmpdir(), 'idat-measure-queue-'));

export async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => probe.once('listening', resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** A server that writes down all it is told before it answers. */
export async function startServer(folder, port, more = []) {
  const options = [
    '--port',
    port,
    '--bind',
    '127.0.0.1',
    '--dir',
    folder,
    '--save',
    '',
    '--appendonly',
    'yes',
    ...more,
  ];
  const child = spawn('redis-server', options.map(String), { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const redis = await client(port);
  const kill = async () => {
    redis.disconnect();
    child.kill('SIGKILL');
    await ended;
  };
  return { redis, kill };
}

export async function client(port) {
  const engine = await loadEngine();
  for (let tries = 0; ; tries++) {
    try {
      return await connect(engine, parseQueueUrl(`redis://127.0.0.1:${port}`), 200);
    } catch (error) {
      if (tries > 100) throw error;
      await sleep(100);
    }
  }
}

/** A field of INFO, as a number. */
export async function info(redis, section, field) {
  const text = await redis.call('INFO', section);
  return Number(new RegExp(`^${field}:([\\d.]+)`, 'm').exec(text)?.[1]);
}

/** Three classes of noise, each with more of one colour. */
export async function makeImages(root, perClass) {
  const folder = join(root, 'colours');
  for (const [channel, name] of ['red', 'green', 'blue'].entries()) {
    mkdirSync(join(folder, name), { recursive: true });
    for (let i = 0; i < perClass; i++) {
      const random = randomStream(1, 'image', name, i);
      const raw = Uint8Array.from({ length: 8 * 8 * 3 }, (_, at) => random.below(160) + (at % 3 === channel ? 60 : 0));
      const image = sharp(raw, { raw: { width: 8, height: 8, channels: 3 } });
      await image.png().toFile(join(folder, name, `${i}.png`));
    }
  }
  return folder;
}

/** A plan of small runs, whose bytes depend on no measurement. */
export function writePlan(root, { runs, epochs }) {
  const plan = {
    base: {
      ...{ student: 'vit_micro_patch4_32.cifar10', teacher: 'vit_nano_patch4_32.cifar10', method: 'parallel' },
      ...{ epochs, batchSize: 8, microBatch: 8, threads: 1, device: 'cpu', dropPath: 0.1 },
    },
    tasks: [{ name: 'colours', data: join(root, 'colours') }],
    grid: { seed: Array.from({ length: runs }, (_, i) => i + 1) },
  };
  const path = join(root, 'plan.yaml');
  writeFileSync(path, JSON.stringify(plan)); // JSON is YAML
  return path;
}

/** Runs the command line. */
export function start(args, { cwd } = {}) {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { out: '', err: '' };
  child.stdout.on('data', (chunk) => {
    said.out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    said.err += chunk;
  });
  const ended = new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal, ...said })));
  return { child, said, ended };
}

export const median = (values) => [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)];

/** `--name value` of the command line, as numbers. */
export function given(defaults) {
  const values = { ...defaults };
  for (let i = 2; i < process.argv.length; i += 2) {
    const name = process.argv[i].replace(/^--/, '');
    if (!(name in values)) throw new Error(`no ${name}; there are ${Object.keys(values).join(', ')}`);
    values[name] = Number(process.argv[i + 1]);
  }
  return values;
}
