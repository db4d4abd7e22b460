/** A run without a disk: images, weights and the store are in memory, and only the runtime knows of Node. */
import { expect } from 'vitest';
import { randomBackbone } from '../src/backbones/random-weights.js';
import type { PixelStore } from '../src/data/pixels.js';
import type { RunControl } from '../src/index.js';
import { randomStream } from '../src/random.js';
import type { Runtime } from '../src/runtime/runtime.js';
import { type FineTuneInput, parseConfig } from '../src/settings/config.js';
import { planOf } from '../src/settings/plan.js';
import { type Compiled, loadPrograms } from '../src/train/compiled.js';
import { runProtocol } from '../src/train/protocol.js';
import { modelSpecs, prefixesOf } from '../src/train/specs.js';
import type { Pixels } from '../src/train/splits.js';
import { encodeState } from '../src/train/state.js';
import { memoryStore, type Store } from '../src/train/store.js';

export const CLASSES = 3;
const SIZE = 8;
const MICRO_BATCH = 4;

/** Noise with more of one colour for each class. @param labels of the images; default: the classes in turn */
export function imagesInMemory(
  count: number,
  salt: string,
  labels: readonly number[] = Array.from({ length: count }, (_, index) => index % CLASSES),
  brighter = 80,
  side = SIZE,
): PixelStore {
  const length = 3 * side * side;
  const all = labels.map((bright, index) => {
    const random = randomStream(1, salt, index);
    return Uint8Array.from(
      { length },
      (_, at) => random.below(150) + (Math.floor((3 * at) / length) === bright ? brighter : 0),
    );
  });
  return {
    count,
    size: side,
    labels: Int32Array.from(labels),
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

export const both = (store: PixelStore) => ({ student: store, teacher: store });
const PIXELS: Pixels = {
  train: both(imagesInMemory(12, 'train')),
  val: both(imagesInMemory(6, 'val')),
  trainval: both(imagesInMemory(18, 'trainval')),
  test: both(imagesInMemory(9, 'test')),
};

const sizes = { family: 'vit', imageSize: SIZE, patchSize: 4, channels: 3, depth: 2, heads: 2 } as const;
const vit = (width: number) => ({ ...sizes, width, mlpWidth: 2 * width, qkvBias: true, layerNormEps: 1e-6 });

export interface MemoryRunOptions {
  readonly control?: RunControl;
  readonly pixels?: Pixels;
  readonly microBatch?: number;
}

/** What a run is compiled to. */
export async function compileInMemory(runtime: Runtime, settings: Partial<FineTuneInput>, microBatch = MICRO_BATCH) {
  const preset = { data: 'memory', student: 's', teacher: 't', epochs: 4, warmupEpochs: 1, batchSize: 6 };
  const plan = planOf(parseConfig({ ...preset, ...settings }));
  const backbones = {
    student: await randomBackbone('s', vit(16), 1, 'student'),
    teacher: plan.models.teacher && (await randomBackbone('t', vit(8), 1, 'teacher')),
  };
  const specs = modelSpecs(plan.models, backbones, CLASSES);
  const compiled: Compiled = await loadPrograms(runtime, plan, specs, prefixesOf(specs, plan), { microBatch });
  return { plan, compiled, microBatch };
}

/** Trains to the end, from where the store has kept it. */
export async function trainInMemory(
  runtime: Runtime,
  settings: Partial<FineTuneInput>,
  store: Store = memoryStore(),
  { control = {}, pixels = PIXELS, microBatch }: MemoryRunOptions = {},
) {
  const made = await compileInMemory(runtime, settings, microBatch);
  const { result, state } = await runProtocol({ ...made, pixels, store, prefixFiles: null, control });
  await store.finish(result);
  return { result, state };
}

/** Stops a run after each of these steps, goes on, and holds the state and the result against those of an undisturbed one. */
export async function expectExactResume(
  runtime: Runtime,
  settings: Partial<FineTuneInput>,
  stops: (steps: number) => readonly number[],
  options: MemoryRunOptions = {},
) {
  let steps = 0;
  const counting: RunControl = { onProgress: ({ kind }) => kind === 'step' && steps++ };
  const undisturbed = await trainInMemory(runtime, settings, memoryStore(), { ...options, control: counting });
  for (const stopAt of stops(steps)) {
    const store = memoryStore();
    const controller = new AbortController();
    let seen = 0;
    const onProgress: RunControl['onProgress'] = ({ kind }) => {
      if (kind === 'step' && ++seen === stopAt) controller.abort();
    };
    const control = { onProgress, signal: controller.signal };
    await expect(trainInMemory(runtime, settings, store, { ...options, control })).rejects.toMatchObject({
      code: 'run.interrupted',
      message: expect.stringContaining('saved in memory'),
    });
    expect(await store.result()).toBe(null);
    const resumed = await trainInMemory(runtime, settings, store, options);
    expect(await encodeState(resumed.state)).toEqual(await encodeState(undisturbed.state));
    expect({ ...resumed.result, seconds: 0 }).toEqual({ ...undisturbed.result, seconds: 0 });
    expect(await store.result()).toEqual(resumed.result);
  }
  return undisturbed;
}
