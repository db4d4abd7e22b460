/** The training loop without a disk: images, weights and the store are in memory, and only the runtime knows of Node. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { randomBackbone } from '../src/backbones/random-weights.js';
import type { PixelStore } from '../src/data/pixels.js';
import type { RunControl } from '../src/index.js';
import { randomStream } from '../src/random.js';
import { startRuntime } from '../src/runtime/node/start.js';
import type { Runtime } from '../src/runtime/runtime.js';
import { type FineTuneInput, parseConfig } from '../src/settings/config.js';
import { planOf } from '../src/settings/plan.js';
import { loadPrograms } from '../src/train/compiled.js';
import { runProtocol } from '../src/train/protocol.js';
import { modelSpecs, prefixesOf } from '../src/train/specs.js';
import type { Pixels } from '../src/train/splits.js';
import { encodeState } from '../src/train/state.js';
import { memoryStore, type Store } from '../src/train/store.js';

const CLASSES = 3;
const SIZE = 8;
const MICRO_BATCH = 4;

/** Noise with more of one colour for each class. */
function imagesInMemory(count: number, salt: string): PixelStore {
  const length = 3 * SIZE * SIZE;
  const all = Array.from({ length: count }, (_, index) => {
    const random = randomStream(1, salt, index);
    const bright = index % CLASSES;
    return Uint8Array.from(
      { length },
      (_, at) => random.below(150) + (Math.floor((3 * at) / length) === bright ? 80 : 0),
    );
  });
  return {
    count,
    size: SIZE,
    labels: Int32Array.from(all, (_, index) => index % CLASSES),
    names: all.map((_, index) => `${salt} ${index}`),
    keys: [],
    fileHashes: [],
    skipped: [],
    fingerprint: salt,
    pixelsKey: salt,
    fromCache: false,
    cacheProblem: null,
    read: async (indices) => {
      const bytes = new Uint8Array(indices.length * length);
      Array.from(indices, (index, i) => bytes.set(all[index]!, i * length));
      return bytes;
    },
    close: async () => {},
  };
}

const both = (store: PixelStore) => ({ student: store, teacher: store });
const pixels: Pixels = {
  train: both(imagesInMemory(12, 'train')),
  val: both(imagesInMemory(6, 'val')),
  trainval: both(imagesInMemory(18, 'trainval')),
  test: both(imagesInMemory(9, 'test')),
};

let runtime: Runtime;
beforeAll(async () => {
  runtime = await startRuntime({ device: 'cpu', threads: 1 });
});
afterAll(() => runtime.close());

const sizes = { family: 'vit', imageSize: SIZE, patchSize: 4, channels: 3, depth: 2, heads: 2 } as const;
const vit = (width: number) => ({ ...sizes, width, mlpWidth: 2 * width, qkvBias: true, layerNormEps: 1e-6 });

async function train(settings: Partial<FineTuneInput>, store: Store, control: RunControl = {}) {
  const plan = planOf(
    parseConfig({ data: 'memory', student: 's', teacher: 't', epochs: 4, warmupEpochs: 1, batchSize: 6, ...settings }),
  );
  const backbones = {
    student: await randomBackbone('s', vit(16), 1, 'student'),
    teacher: await randomBackbone('t', vit(8), 1, 'teacher'),
  };
  const specs = modelSpecs(plan.models, backbones, CLASSES);
  const compiled = await loadPrograms(runtime, plan, specs, prefixesOf(specs, plan), { microBatch: MICRO_BATCH });
  const parts = { plan, compiled, microBatch: MICRO_BATCH, pixels, store, prefixFiles: null, control };
  const { result, state } = await runProtocol(parts);
  await store.finish(result);
  return { result, state };
}

describe.each(['last', 'val', 'paper'] as const)('a run by protocol %s in a store in memory', (protocol) => {
  const settings = { protocol, dropPath: 0.1, hidden: 4 };

  it('ends with the same numbers after being stopped anywhere', async () => {
    const undisturbed = await train(settings, memoryStore());
    const steps = undisturbed.state.metrics.length * 3;
    for (const stopAt of [1, 4, Math.floor(steps / 2)]) {
      const store = memoryStore();
      const controller = new AbortController();
      let seen = 0;
      const onProgress: RunControl['onProgress'] = ({ kind }) => {
        if (kind === 'step' && ++seen === stopAt) controller.abort();
      };
      await expect(train(settings, store, { onProgress, signal: controller.signal })).rejects.toMatchObject({
        code: 'run.interrupted',
        message: expect.stringContaining('saved in memory'),
      });
      expect(await store.result()).toBe(null);
      const resumed = await train(settings, store);
      expect(await encodeState(resumed.state)).toEqual(await encodeState(undisturbed.state));
      expect({ ...resumed.result, seconds: 0 }).toEqual({ ...undisturbed.result, seconds: 0 });
      expect(await store.result()).toEqual(resumed.result);
    }
  });
});

it('learns, and says that memory is full where nothing else keeps what the frozen part computes', async () => {
  const notes: (string | undefined)[] = [];
  const onProgress: RunControl['onProgress'] = (event) => event.kind === 'note' && notes.push(event.code);
  const { result } = await train({ epochs: 12, lr: 0.05, prefixMemory: 0 }, memoryStore(), { onProgress });
  expect(result.accuracy).toBe(1);
  expect(notes).toContain('prefix.uncached');
});

it('refuses a state of another model', async () => {
  const store = memoryStore();
  await train({ epochs: 1 }, store);
  await expect(train({ epochs: 1, hidden: 8 }, store)).rejects.toMatchObject({ code: 'run.state' });
});
