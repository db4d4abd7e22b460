/** The runtime of a browser tab, its engine in the thread of the test: WebAssembly runs in Node as it does in a tab. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backbone } from '../src/backbones/backbone.js';
import { backboneFromBytes } from '../src/backbones/in-memory.js';
import { knownBackbone } from '../src/backbones/known-backbones.js';
import { backboneFromFile } from '../src/backbones/node/checkpoint.js';
import { emit } from '../src/graph/emit.js';
import { computedConstant } from '../src/graph/ops/constant.js';
import { add, input } from '../src/graph/ops/index.js';
import { startRuntime } from '../src/runtime/node/start.js';
import type { Runtime } from '../src/runtime/runtime.js';
import { checkMoves } from '../src/runtime/web/check-moves.js';
import { openEngine } from '../src/runtime/web/engine.js';
import type { Connection } from '../src/runtime/web/protocol.js';
import { startWebRuntime } from '../src/runtime/web/start.js';
import { parseConfig } from '../src/settings/config.js';
import { BUNDLED } from '../src/settings/fields.js';
import { planOf } from '../src/settings/plan.js';
import { loadPrograms } from '../src/train/compiled.js';
import { runProtocol } from '../src/train/protocol.js';
import { modelSpecs, prefixesOf } from '../src/train/specs.js';
import { memoryStore } from '../src/train/store.js';
import { both, expectExactResume, imagesInMemory, trainInMemory } from './memory-run.js';

const web = (connect: () => Connection = () => openEngine(), files = new Map<string, Uint8Array>()) =>
  startWebRuntime({ connect, files, check: checkMoves });

let runtime: Runtime;
let native: Runtime;
beforeAll(async () => {
  runtime = await web();
  native = await startRuntime({ device: 'cpu', threads: 1 });
});
afterAll(async () => {
  await runtime.close();
  await native.close();
});

const largest = (values: Float32Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
const deviation = (a: Float32Array, b: Float32Array) => largest(a.map((value, i) => value - b[i]!)) / largest(b);

describe('training in WebAssembly', () => {
  it.each(['last', 'val'] as const)(
    'by protocol %s goes on to the same bytes after being stopped',
    async (protocol) => {
      await expectExactResume(runtime, { protocol, dropPath: 0.1, hidden: 4 }, (steps) => [1, Math.floor(steps / 2)]);
    },
  );

  it('comes to what Node comes to, but for rounding', async () => {
    const settings = { epochs: 3, dropPath: 0.1 };
    const [ours, theirs] = [await trainInMemory(runtime, settings), await trainInMemory(native, settings)];
    for (const role of ['student', 'teacher'] as const)
      expect(deviation(ours.state[role]!.parameters, theirs.state[role]!.parameters)).toBeLessThan(1e-3);
    for (const [i, { loss }] of ours.state.metrics.entries())
      expect(loss.total).toBeCloseTo(theirs.state.metrics[i]!.loss.total, 5);
  });

  it('changes no byte with a second copy', async () => {
    const [once, twice] = [
      await trainInMemory(runtime, { epochs: 2 }),
      await trainInMemory(runtime.withThreads(1, 2), { epochs: 2 }),
    ];
    expect(twice.state.student.parameters).toEqual(once.state.student.parameters);
  });
});

it('hands over weights that compiling computes, too large to stand in the program', async () => {
  const length = 2 ** 18; // of float32, the least that goes apart
  const made = (factor: number) =>
    computedConstant([length], () => Float32Array.from({ length }, (_, i) => factor * i));
  let files: readonly unknown[] = [];
  const session = await runtime.load((sink) => {
    const program = emit({ sum: add(add(input('x', [length]), made(1)), made(2)) }, sink);
    files = program.files;
    return program;
  });
  expect(files).toHaveLength(1);
  const { sum } = await session.run({ x: new Float32Array(length).fill(0.5) });
  expect(sum!.findIndex((value, i) => value !== 3 * i + 0.5)).toBe(-1);
  expect(session.spent()).toMatchObject({ calls: 1 });
  await session.close();
});

describe('with the bundled pair', () => {
  const pathOf = (name: string) => `${name}.safetensors`;
  const train = async (engine: Runtime, backbones: { student: Backbone; teacher: Backbone }) => {
    const settings = { data: 'x', ...BUNDLED, epochs: 1, warmupEpochs: 0, batchSize: 8, protocol: 'last' } as const;
    const plan = planOf(parseConfig(settings));
    const specs = modelSpecs(plan.models, backbones, 3);
    const prefixes = prefixesOf(specs, plan);
    const compiled = await loadPrograms(engine, plan, specs, prefixes, { microBatch: 8 });
    const images = (salt: string) => both(imagesInMemory(16, salt, undefined, 80, 32));
    const pixels = { trainval: images('train'), test: images('test') };
    return runProtocol({
      ...{ plan, compiled, microBatch: 8, pixels, store: memoryStore(), prefixFiles: null, control: {} },
    });
  };

  it('reads weights from bytes as Node reads them from files, and trains alike', async () => {
    const [student, teacher] = [BUNDLED.student, BUNDLED.teacher];
    const files = new Map([student, teacher].map((name) => [pathOf(name), bytesOf(name)]));
    const open = async (name: string) => ({
      here: await backboneFromBytes(files.get(pathOf(name))!, pathOf(name), knownBackbone(name)),
      there: await backboneFromFile(`assets/models/${pathOf(name)}`, knownBackbone(name)),
    });
    const pair = { student: await open(student), teacher: await open(teacher) };
    expect(pair.student.here.sha256).toBe(pair.student.there.sha256);
    expect(pair.student.here.config).toEqual(pair.student.there.config);
    const given: string[] = [];
    const counting = (): Connection => {
      const { call, close } = openEngine();
      const watched: Connection['call'] = (request) => {
        if (request.kind === 'file') given.push(request.path);
        return call(request);
      };
      return { close, call: watched };
    };
    const engine = await web(counting, files);
    try {
      const ours = await train(engine, { student: pair.student.here, teacher: pair.teacher.here });
      const theirs = await train(native, { student: pair.student.there, teacher: pair.teacher.there });
      expect(ours.state.metrics[0]!.loss.total).toBeCloseTo(theirs.state.metrics[0]!.loss.total, 5);
      expect(deviation(ours.state.student.parameters, theirs.state.student.parameters)).toBeLessThan(1e-3);
      expect(given.sort()).toEqual([pathOf(student), pathOf(teacher)].sort());
    } finally {
      await engine.close();
    }
  });
});

describe('refuses, in a sentence,', () => {
  it.each(['cuda', 'webgpu'] as const)('the device %s', async (device) => {
    const started = startWebRuntime({ connect: () => openEngine(), files: new Map(), device, check: checkMoves });
    await expect(started).rejects.toMatchObject({ code: 'runtime.device', message: expect.stringContaining(device) });
  });

  it('weights that it was not given', async () => {
    const path = 'absent.safetensors';
    const bytes = bytesOf(BUNDLED.student);
    const backbone = await backboneFromBytes(bytes, path, knownBackbone(BUNDLED.student));
    const plan = planOf(parseConfig({ data: 'x', student: BUNDLED.student }));
    const specs = modelSpecs(plan.models, { student: backbone, teacher: null }, 3);
    const loading = loadPrograms(runtime, plan, specs, prefixesOf(specs, plan), { microBatch: 2 });
    await expect(loading).rejects.toMatchObject({ code: 'runtime.load', message: expect.stringContaining(path) });
  });

  it('a page where a checkpoint should be', async () => {
    const page = new TextEncoder().encode('<!doctype html><title>404</title>'.padEnd(600));
    await expect(backboneFromBytes(page, 'model.safetensors')).rejects.toMatchObject({
      message: expect.stringContaining('model.safetensors'),
    });
  });
});

function bytesOf(name: string): Uint8Array {
  return new Uint8Array(readFileSync(`assets/models/${name}.safetensors`));
}
