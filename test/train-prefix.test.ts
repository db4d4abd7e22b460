/** Runs that keep on disk what frozen prefixes compute: whatever happens to the files, the run ends with the same bytes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resolveBackbone } from '../src/backbones/node/registry.js';
import { FOLDING_PASSES } from '../src/graph/passes/index.js';
import { type EpochMetrics, fineTune, resume } from '../src/index.js';
import { startRuntime } from '../src/runtime/node/start.js';
import { buildPrefix } from '../src/step/prefix.js';
import { loadPrefix } from '../src/train/prefix-store.js';
import { makeImageFolder, runBytes, STUDENT, settings, TEACHER, temporaryFolder } from './train-support.js';

const CHILD = fileURLToPath(new URL('./train-child.mjs', import.meta.url));
const root = temporaryFolder();
afterAll(() => rmSync(root, { recursive: true }));

let data: string;
const undisturbed = join(root, 'undisturbed');
beforeAll(async () => {
  data = await makeImageFolder(root);
  await fineTune({ ...settings(data, undisturbed), protocol: 'paper' });
}, 120_000);

/** A run that holds nothing in memory. */
const onDisk = (name: string) =>
  ({
    ...settings(data, join(root, name)),
    protocol: 'paper',
    prefixMemory: 0,
    cacheDir: join(root, `${name}-cache`),
  }) as const;
const filesIn = (folder: string) => {
  const names = readdirSync(folder).filter((name) => name.startsWith('prefix-'));
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name)).toString('base64')]));
};
const ended = (child: ChildProcess) => new Promise<void>((resolve) => child.on('close', () => resolve()));

it.each(['parallel-shared', 'linear'])('%s learns the same with the prefix switched off', async (adapter) => {
  const metrics = async (disable: string[]) => {
    const out = join(root, `${adapter}-without-${disable.length}`);
    await fineTune({ ...settings(data, out), adapter, disable, protocol: 'paper' });
    const lines = readFileSync(join(out, 'metrics.jsonl'), 'utf8').trim().split('\n');
    return lines.map((line) => JSON.parse(line) as EpochMetrics);
  };
  const whole = await metrics(['frozen-prefix']);
  const cut = await metrics([]);
  for (const [epoch, { loss, testAccuracy }] of cut.entries()) {
    expect(testAccuracy).toBeCloseTo(whole[epoch]!.testAccuracy!, 1);
    for (const [name, value] of Object.entries(whole[epoch]!.loss)) {
      expect(loss[name as keyof typeof loss], `${name} of epoch ${epoch}`).toBeCloseTo(value, 4);
    }
  }
});

describe('prefix files', () => {
  it('change nothing, neither new nor found nor damaged', async () => {
    const config = onDisk('files');
    await fineTune(config);
    expect(runBytes(config.out)).toEqual(runBytes(undisturbed));
    const files = filesIn(config.cacheDir);
    expect(Object.keys(files)).toHaveLength(3); // of the student for training and test images, of the teacher for training images

    for (const [name, content] of Object.entries(files)) {
      const damaged = Buffer.from(content, 'base64').fill(7, 1000, 1100);
      writeFileSync(join(config.cacheDir, name), damaged.subarray(0, Math.floor(damaged.length * 0.7)));
    }
    const again = { ...config, out: join(root, 'files-again') };
    await fineTune(again);
    expect(runBytes(again.out)).toEqual(runBytes(undisturbed));
    expect(filesIn(config.cacheDir)).toEqual(files);
  }, 60_000);

  it('are shared by two runs that are killed in the middle', async () => {
    const first = onDisk('shared');
    const configs = [first, { ...first, out: join(root, 'shared-second') }];
    await Promise.all(
      configs.map(async (config) => {
        const child = spawn(process.execPath, [CHILD, 'start', JSON.stringify(config)], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        child.stdout!.once('data', () => setTimeout(() => child.kill('SIGKILL'), Math.random() * 300));
        await ended(child);
      }),
    );
    await Promise.all(configs.map(({ out }) => resume(out)));
    for (const { out } of configs) expect(runBytes(out)).toEqual(runBytes(undisturbed));
  }, 60_000);

  it('that the disk has no room for are reported, and the run goes on', async () => {
    // A limit on the size of files stands in for the disk: enough for the run, not for the records of 39 images (nor
    // for folded weights, which are left out for that).
    const config = { ...onDisk('full'), disable: [...FOLDING_PASSES] };
    const roomy = { ...config, out: join(root, 'full-roomy'), cacheDir: undefined, prefixMemory: 256 };
    await fineTune(roomy);
    const limited = spawn('sh', [
      '-c',
      'trap "" XFSZ; ulimit -f 1200; exec "$@"',
      'sh',
      process.execPath,
      CHILD,
      'start',
      JSON.stringify(config),
    ]);
    let text = '';
    limited.stdout.on('data', (chunk) => {
      text += chunk;
    });
    await ended(limited);
    expect(text).toMatch(/full-cache: cannot keep what the frozen part of the model computes \(EFBIG/);
    expect(runBytes(config.out)).toEqual(runBytes(roomy.out));
  }, 60_000);
});

it('a prefix is known by its weights, its graph, its normalisation and the engine', async () => {
  const runtime = await startRuntime({ device: 'cpu', threads: 1 });
  const two = await startRuntime({ device: 'cpu', threads: 2 });
  const student = await resolveBackbone(STUDENT);
  const teacher = await resolveBackbone(TEACHER);
  const identity = async (engine = runtime, backbone = student, method = 'linear') => {
    const prefix = buildPrefix({ backbone, method, methodOptions: {}, classes: 3, dropPath: 0 })!;
    return (await loadPrefix(engine, { backbone }, prefix)).identity;
  };
  const own = await identity();
  expect(await identity()).toBe(own);
  const others = [
    await identity(two),
    await identity(runtime, teacher),
    await identity(runtime, { ...student, sha256: 'of other weights' }),
    await identity(runtime, { ...student, mean: [0.4, 0.5, 0.5] }),
    await identity(runtime, student, 'sequential'),
    await identity({ ...runtime, engine: { ...runtime.engine, onnxruntime: '2' } }),
  ];
  expect(new Set([own, ...others]).size).toBe(7);
  await runtime.close();
  await two.close();
});
