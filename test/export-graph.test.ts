/** Models as they are exported: every method on both families, for any number of images, beside the training engine's programs. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { imagesShape } from '../src/backbones/architecture.js';
import type { BackboneConfig, SwinConfig, ViTConfig } from '../src/backbones/backbone.js';
import { preprocess, toPlanar } from '../src/data/node/index.js';
import { loadExported } from '../src/export/agreement.js';
import { forAnyBatch, TRACED_BATCH } from '../src/graph/any-batch.js';
import { emitWhole, OPSET } from '../src/graph/emit.js';
import { encodeModel, type ModelProto } from '../src/graph/onnx-proto.js';
import { input, reshape, split } from '../src/graph/ops/index.js';
import { METHODS } from '../src/methods/index.js';
import { onnxGraph } from '../src/onnx/onnx-graph.js';
import { withPixelInput } from '../src/onnx/pixel-input.js';
import { startRuntime } from '../src/runtime/node/start.js';
import type { Runtime } from '../src/runtime/runtime.js';
import { buildForward } from '../src/step/forward.js';
import type { ModelSpec } from '../src/step/model.js';
import { type Model, models, specOf, values } from './small-models.js';

const vit: ViTConfig = {
  family: 'vit',
  imageSize: 8,
  patchSize: 4,
  channels: 3,
  width: 8,
  depth: 3,
  heads: 2,
  mlpWidth: 16,
  qkvBias: true,
  layerNormEps: 1e-6,
};
/** Two stages; the first has shifted windows, which mask. */
const swin: SwinConfig = {
  family: 'swin',
  imageSize: 16,
  patchSize: 2,
  channels: 3,
  embedWidth: 4,
  depths: [2, 2],
  heads: [1, 2],
  windowSize: 2,
  mlpRatio: 2,
  qkvBias: true,
  layerNormEps: 1e-5,
};

let runtime: Runtime;
beforeAll(async () => {
  runtime = await startRuntime({ device: 'cpu', threads: 1 });
});
afterAll(() => runtime.close());

const CLASSES = 3;
const tunedOf = (model: ModelSpec) => {
  const { layout } = buildForward({ model, batch: 1 });
  const noise = values([layout.size], 5, 0.2);
  return { layout, parameters: layout.initial(1, 'student').map((value, i) => value + noise[i]!) };
};

/** By the program that evaluation runs while training. */
async function engineLogits(model: ModelSpec, batch: number, images: Float32Array, parameters: Float32Array) {
  const session = await runtime.load((sink) => buildForward({ model, batch, sink }).program);
  const { logits } = await session.run({ images, parameters });
  await session.close();
  return logits!;
}

const apart = (a: Float32Array, b: Float32Array): number => {
  expect(a.length).toBe(b.length);
  return a.reduce((most, value, i) => (Math.abs(value - b[i]!) <= most ? most : Math.abs(value - b[i]!)), 0);
};

/** One file for all these numbers of images. */
async function compare(model: ModelSpec, adapterInput: boolean, batches: readonly number[]) {
  const tuned = tunedOf(model);
  const bytes = encodeModel(onnxGraph(model, { tuned: adapterInput ? null : tuned, int8: false }));
  const parameters = adapterInput ? tuned.parameters : null;
  const file = await loadExported(runtime, bytes, { input: 'images', classes: CLASSES, parameters });
  for (const batch of batches) {
    const shape = imagesShape(model.backbone.config, batch);
    const images = values(shape, batch);
    const logits = await file.logits({ values: images, shape });
    const expected = await engineLogits(model, batch, images, tuned.parameters);
    const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-3);
    expect(apart(logits, expected) / largest).toBeLessThan(1e-5);
  }
  await file.close();
}

const pairs = METHODS.flatMap(({ name, families }) =>
  ([vit, swin] as BackboneConfig[])
    .filter(({ family }) => families.includes(family))
    .map((config): [string, string, BackboneConfig] => [name, config.family, config]),
);

describe('an exported model computes what the engine does', () => {
  it('for every method on every family it is defined for', () => {
    expect(pairs.length).toBeGreaterThan(METHODS.length);
  });

  it.each(pairs)('%s on a %s', async (method, _, config) => {
    const model = specOf({ config, method, dropPath: 0 });
    await compare(model, false, [1, 2, 5]);
    await compare(model, true, [1, 3]);
  });

  it('whatever the model', async () => {
    const property = fc.asyncProperty(
      models,
      fc.integer({ min: 1, max: 4 }),
      fc.boolean(),
      (model: Model, batch, own) => compare(specOf(model), own, [batch]),
    );
    await fc.assert(property, { numRuns: 15 });
  }, 60_000);
});

describe('a graph for any number of images', () => {
  const batch = TRACED_BATCH;
  it('gives probabilities and features beside logits, named and with an open size', () => {
    const graph = onnxGraph(specOf({ config: vit, method: 'lora', dropPath: 0 }), { tuned: null, int8: false });
    expect(graph.outputs).toEqual([
      { name: 'logits', dtype: 'float32', shape: ['batch', CLASSES] },
      { name: 'probabilities', dtype: 'float32', shape: ['batch', CLASSES] },
      { name: 'features', dtype: 'float32', shape: ['batch', vit.width] },
    ]);
    expect(graph.inputs.map(({ name, shape }) => [name, shape[0]])).toContainEqual(['images', 'batch']);
    const used = new Set(graph.nodes.flatMap(({ inputs }) => inputs));
    expect(graph.initializers.filter(({ name }) => !used.has(name))).toEqual([]);
  });

  it('refuses what would count images elsewhere than in a shape', () => {
    const images = input('images', [batch, 4]);
    const halves = split(input('images', [2 * batch, 4]), 0, [batch, batch]);
    expect(() => forAnyBatch(emitWhole({ y: halves[0]! }), 'images')).toThrow(/Split.* holds the number of images/);
    expect(() => forAnyBatch(emitWhole({ y: reshape(images, [2 * batch, 2]) }), 'images')).toThrow(/2 rows for each/);
  });
});

describe('in 8 bits', () => {
  const wide = { ...vit, width: 32, mlpWidth: 64 };
  const model = specOf({ config: wide, method: 'sequential', dropPath: 0 });

  it('no weight is beyond 63, so that no processor overflows, and logits stay close', async () => {
    const tuned = tunedOf(model);
    const graph = onnxGraph(model, { tuned, int8: true });
    const eight = graph.initializers.filter(({ dtype }) => dtype === 'int8');
    // the patches' product, and four in each block
    expect(eight).toHaveLength(1 + 4 * wide.depth);
    for (const { data } of eight) {
      const numbers = new Int8Array((data as Uint8Array).slice().buffer);
      expect(Math.max(...numbers.map(Math.abs))).toBe(63);
    }
    const file = await loadExported(runtime, encodeModel(graph), {
      input: 'images',
      classes: CLASSES,
      parameters: null,
    });
    const shape = imagesShape(wide, 4);
    const images = values(shape, 1);
    const logits = await file.logits({ values: images, shape });
    const expected = await engineLogits(model, 4, images, tuned.parameters);
    await file.close();
    const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expect(apart(logits, expected) / largest).toBeLessThan(0.1);
    expect(apart(logits, expected) / largest).toBeGreaterThan(1e-5); // rounded indeed
  });

  it('is refused where no weight is large enough', () => {
    const small = specOf({ config: vit, method: 'sequential', dropPath: 0 });
    expect(() => onnxGraph(small, { tuned: null, int8: true })).toThrow(
      expect.objectContaining({ code: 'export.int8' }),
    );
  });
});

describe('resizing in the graph', () => {
  const backbone = { imageSize: 16, mean: [0.4, 0.5, 0.6], std: [0.2, 0.25, 0.3] };
  /** What a model would read. */
  const bare: ModelProto = {
    opset: OPSET,
    nodes: [{ name: 'logits', type: 'Identity', inputs: ['images'], outputs: ['logits'], attributes: {} }],
    initializers: [],
    inputs: [{ name: 'images', dtype: 'float32', shape: ['batch', 3, 16, 16] }],
    outputs: [{ name: 'logits', dtype: 'float32', shape: ['batch', 3, 16, 16] }],
  };

  it.each([
    [16, 16],
    [64, 40],
    [9, 61],
    [5, 7],
  ])('gives the bytes of idat’s own resize, or their neighbours, from %i × %i', async (width, height) => {
    const bytes = encodeModel(withPixelInput(bare, 'pixel_values', backbone));
    const file = await loadExported(runtime, bytes, { input: 'pixel_values', classes: CLASSES, parameters: null });
    const pixels = Uint8Array.from({ length: 3 * width * height }, (_, i) => (i * 7919 + (i % 11) * 31) % 256);
    const got = await file.logits({ values: Float32Array.from(toPlanar(pixels)), shape: [1, 3, height, width] });
    await file.close();
    const own = preprocess({ width, height, pixels }, backbone.imageSize);
    const off = Array.from(own, (byte, i) => {
      const c = Math.floor(i / 256);
      return Math.abs(255 * (got[i]! * backbone.std[c]! + backbone.mean[c]!) - byte);
    });
    expect(got.length).toBe(own.length);
    expect(Math.max(...off)).toBeLessThan(1.001);
    expect(off.filter((apart) => apart > 1e-3).length).toBeLessThan(0.02 * own.length);
  });
});
