/**
 * What every tuning method has to keep, as tests: call `conformance(method)` in a test file, for a method of the package
 * or one of your own.
 *
 * On small backbones of each family it is defined for, with its defaults and with each other value of its choices:
 * its count is exact; a gradient reaches each of its tensors, and equals central differences; untrained it leaves the
 * logits alone just where it says so; merged it computes the same; stopped and resumed it ends with the same bytes.
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { imagesShape, tensorShapes } from '../src/backbones/architecture.js';
import type { Backbone, BackboneConfig, SwinConfig, Weights } from '../src/backbones/backbone.js';
import { knownBackbone } from '../src/backbones/known-backbones.js';
import { regionOf } from '../src/backbones/region.js';
import { mergedTensors } from '../src/export/merge.js';
import { gradients } from '../src/graph/differentiate.js';
import { interpret } from '../src/graph/interpret.js';
import { constant, mul, sumAll } from '../src/graph/ops/index.js';
import { type Shape, size } from '../src/graph/tensor.js';
import { evaluateRun, fineTune, resume } from '../src/index.js';
import { type AnyMethod, METHODS, optionNames, registerMethod } from '../src/methods/index.js';
import { normal } from '../src/methods/parts/initialisers.js';
import { randomStream } from '../src/random.js';
import { startRuntime } from '../src/runtime/node/start.js';
import { type MethodOptions, resolveMethods } from '../src/settings/method-settings.js';
import { buildForward } from '../src/step/forward.js';
import { type ModelSpec, type TracedModel, traceModel } from '../src/step/model.js';
import { drawn } from '../src/step/scope.js';
import { buildTrainStep } from '../src/step/train-step.js';
import { values } from './small-models.js';
import { SMALL_VARIANTS, SMALL_VIT } from './small-variants.js';
import { makeImageFolder, settings, TEACHER, temporaryFolder } from './train-support.js';

const SMALL_SWIN: SwinConfig = {
  family: 'swin',
  imageSize: 16,
  patchSize: 4,
  channels: 3,
  embedWidth: 8,
  depths: [2, 1],
  heads: [2, 4],
  windowSize: 2,
  mlpRatio: 1.5,
  qkvBias: true,
  layerNormEps: 1e-5,
};

const SMALL: readonly (readonly [title: string, config: BackboneConfig])[] = [
  ['ViT', SMALL_VIT],
  ['ViT without biases of queries, keys and values', { ...SMALL_VIT, qkvBias: false }],
  ['Swin', SMALL_SWIN],
  ...Object.entries(SMALL_VARIANTS).map(([title, config]) => [`ViT as ${title}`, config] as const),
];
const PUBLISHED = ['vit_tiny_patch16_224', 'vit_base_patch16_224', 'swin_tiny_patch4_window7_224'];
const CLASSES = 3;
const IMAGES = 2;

/** Options that make a method fit a small backbone. */
const FEW: MethodOptions = { hidden: 4, rank: 3, prompts: 2, tokens: 2 };

/** The defaults, and each other value of each choice. */
export function optionSets(method: AnyMethod): MethodOptions[] {
  const { properties = {} } = z.toJSONSchema(method.options, { io: 'input' }) as {
    properties?: Record<string, { enum?: string[]; type?: string; default?: string | boolean }>;
  };
  const others = Object.entries(properties).flatMap(([name, { enum: choices, type, default: preset }]) => {
    const all: (string | boolean)[] = choices ?? (type === 'boolean' ? [true, false] : []);
    return all.filter((value) => value !== preset).map((value) => ({ [name]: value }));
  });
  return [{}, ...others];
}

const fitting = (method: AnyMethod): MethodOptions =>
  Object.fromEntries(Object.entries(FEW).filter(([name]) => optionNames(method).includes(name)));

/** A frozen tensor's numbers: gains near 1, all else around 0. */
function frozenValues(name: string, shape: Shape): Float32Array {
  const numbers = values(shape, name.length + 3 * shape.length, 0.3);
  return /norm(\d|_pre)?\.weight$|gamma$/.test(name) ? numbers.map((value) => 1 + value) : numbers;
}

const weightsFrom = (numbers: (name: string, shape: Shape) => Float32Array): Weights => ({
  has: () => true,
  values: numbers,
  constant: (name, shape) => constant(shape, numbers(name, shape)),
});

function modelOf(method: string, config: BackboneConfig, methodOptions: MethodOptions, weights = frozenValues) {
  const fixed = { name: config.family, mean: [0.5], std: [0.5], path: '', sha256: '' };
  const backbone: Backbone = { ...fixed, config, weights: weightsFrom(weights) };
  return { backbone, method, methodOptions, classes: CLASSES, dropPath: 0 } satisfies ModelSpec;
}

const traced = (model: ModelSpec, training: boolean): TracedModel =>
  traceModel(model, { role: '', batch: IMAGES, training, disable: [] });

/** Numbers for all that a traced model reads. */
function numbersOf(
  { images, layout, draws }: TracedModel,
  parameters: Float32Array,
): Record<string, ArrayLike<number>> {
  const everyImage = Array.from({ length: IMAGES }, (_, i) => i);
  return {
    images: values(images.shape, 2),
    ...Object.fromEntries(layout.slots.map((s) => [s.name, parameters.subarray(s.offset, s.offset + s.size)])),
    ...Object.fromEntries(
      draws.map((draw) => [draw.name, drawn(draw, everyImage, (...purpose) => randomStream(1, 'test', ...purpose))]),
    ),
  };
}

/** In float64. */
function logitsOf(model: ModelSpec, parameters?: Float32Array): Float64Array {
  const whole = traced(model, false);
  return interpret([whole.logits], numbersOf(whole, parameters ?? whole.layout.initial(1, 'student')))[0]!.data;
}

const largestDifference = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);

/** Where a method cannot keep what all others do. */
export interface Exceptions {
  /** Tensors that nothing the head reads depends on, in a small backbone of two blocks. */
  readonly unreached?: (config: BackboneConfig, tensor: string) => boolean;
}

/** Declares the tests of a method; one of your own is registered on the way. */
export function conformance(method: AnyMethod, exceptions: Exceptions = {}): void {
  if (!METHODS.includes(method)) registerMethod(method);
  describe(`${method.name} conforms`, () => {
    it('says what it is', () => {
      for (const text of [method.title, method.paper, method.equation]) expect(text.length).toBeGreaterThan(5);
      for (const [name, { description }] of Object.entries(optionProperties(method))) {
        expect(description, name).toMatch(/.{5,}/);
      }
    });
    const small = SMALL.filter(([, { family }]) => method.families.includes(family));
    describe.each(small)('on a %s', (_, config) => {
      const optionsOf = (chosen: MethodOptions) =>
        resolveMethods({ method: method.name, options: { ...fitting(method), ...chosen } }).options;
      describe.each(optionSets(method))('with %j', (chosen) => {
        traces(method, config, optionsOf(chosen), exceptions);
      });
      if (method.inBlocks === false) return;
      // what differs between variants lies in front of the blocks or behind them, so that one place tells for all but the plain ones
      const plain = small.find(([, { family }]) => family === config.family)![1] === config;
      const places = config.family === 'vit' ? [[1], [0]] : [[1], [0, 2]];
      const some = plain ? places : places.slice(0, 1);
      describe.each(some)('in blocks %j, %j alone', (...blocks) => {
        traces(
          method,
          config,
          optionsOf({}),
          exceptions,
          blocks.filter((block) => block !== undefined),
        );
      });
    });
    counts(method);
    runs(method);
  });
}

const optionProperties = (method: AnyMethod) =>
  (z.toJSONSchema(method.options).properties ?? {}) as Record<string, { description?: string }>;

function traces(
  method: AnyMethod,
  config: BackboneConfig,
  options: MethodOptions,
  { unreached }: Exceptions,
  blocks?: readonly number[],
): void {
  const model: ModelSpec = { ...modelOf(method.name, config, options), blocks };
  const region = regionOf(config, blocks);
  const headSize = CLASSES * (config.family === 'vit' ? config.width : config.embedWidth * 2) + CLASSES;

  it('trains as many numbers as it says', () => {
    expect(traced(model, false).layout.size - headSize).toBe(method.count(config, options, region));
  });

  it('trains those tensors of the backbone that it says, and no other', () => {
    const own = new Set(traced(model, true).layout.slots.map(({ name }) => name));
    for (const name of tensorShapes(config).keys())
      expect(own.has(name), name).toBe(method.trains(name) && region.has(name));
  });

  it.runIf(blocks)('adds nothing in other blocks', () => {
    for (const { name } of traced(model, true).layout.slots) {
      const [, own] = /^blocks\.(\d+)\./.exec(name) ?? [];
      if (own !== undefined) expect(blocks, name).toContain(Number(own));
    }
  });

  it('has the same tensors in training and in evaluation', () => {
    expect(traced(model, true).layout.slots).toEqual(traced(model, false).layout.slots);
  });

  it('leaves the logits alone at the start just where it says so', () => {
    const plain = modelOf('linear', config, {});
    const difference = largestDifference(logitsOf(model), logitsOf(plain));
    if (method.identityAtStart(options)) expect(difference).toBeLessThan(1e-12);
    else expect(difference).toBeGreaterThan(1e-9);
  });

  it('sends a gradient into each of its tensors, equal to central differences', () => {
    const whole = traced(model, true);
    const loss = sumAll(mul(whole.logits, constant(whole.logits.shape, values(whole.logits.shape, 5))));
    const parameters = normal(0.3)([whole.layout.size], randomStream(5, 'parameters'));
    const numbers = numbersOf(whole, parameters);
    const found = interpret(gradients(loss, whole.parameters), numbers);
    whole.layout.slots.forEach(({ name, size: length }, i) => {
      const gradient = found[i]!.data;
      const largest = gradient.reduce((most, g) => Math.max(most, Math.abs(g)), 0);
      if (unreached?.(config, name)) {
        expect(largest, name).toBe(0);
        return;
      }
      expect(largest, name).toBeGreaterThan(1e-12);
      const at = gradient.findIndex((g) => Math.abs(g) === largest); // and one elsewhere
      for (const j of new Set([at, Math.floor(length / 2)])) {
        const moved = (h: number) => {
          const own = Float64Array.from(numbers[name]!);
          own[j]! += h;
          return interpret([loss], { ...numbers, [name]: own })[0]!.data[0]!;
        };
        const h = 1e-5;
        expect(Math.abs((moved(h) - moved(-h)) / (2 * h) - gradient[j]!), `${name}[${j}]`).toBeLessThan(
          1e-5 * largest + 1e-9,
        );
      }
    });
  });

  it('draws nothing in evaluation, nor where nothing is dropped', () => {
    expect(traced(model, false).draws).toEqual([]);
    if (!optionNames(method).includes('dropout')) return;
    const kept = traced({ ...model, methodOptions: { ...options, dropout: 0 } }, true);
    expect(kept.draws.filter(({ name }) => name.includes('dropout'))).toEqual([]);
    const dropped = traced({ ...model, methodOptions: { ...options, dropout: 0.5 } }, true);
    expect(dropped.draws.some(({ name }) => name.includes('dropout'))).toBe(true);
  });

  it('is a step the runtime can take, and teaches as well as it learns', () => {
    const distillation = { loss: 'mse', temperature: 5, alpha: 1, beta: 1, gradient: 'both' as const };
    const other = modelOf('parallel', config, { hidden: 2 });
    const student = buildTrainStep({ student: model, teacher: other, distillation, microBatch: 2 });
    const teacher = buildTrainStep({ student: other, teacher: model, distillation, microBatch: 2 });
    expect(student.student.size).toBe(teacher.teacher!.size);
  });

  it.runIf(method.merge)('merged, is a plain backbone with the same logits in float32', async () => {
    const { layout, program } = buildForward({ model, batch: IMAGES });
    const parameters = values([layout.size], 7, 0.2);
    const merged = mergedTensors(model, layout, parameters);
    const isHead = (name: string) => name.startsWith('head.');
    const shapes = new Map([...merged].map(([name, { shape }]) => [name, shape]));
    const own = (name: string, shape: Shape) => {
      expect(size(shapes.get(name)!), name).toBe(size(shape));
      return merged.get(name)!.values();
    };
    const qkvBias = [...merged.keys()].some((name) => name.endsWith('qkv.bias'));
    const withBiases = { ...config, qkvBias, ...(merged.has('patch_embed.proj.bias') && { patchBias: true }) };
    const plain = buildForward({ model: modelOf('linear', withBiases, {}, own), batch: IMAGES });
    const head = new Float32Array(plain.layout.size);
    for (const { name, offset } of plain.layout.slots) head.set(merged.get(name)!.values(), offset);
    expect([...merged.keys()].filter(isHead)).toEqual(['head.weight', 'head.bias']);

    const images = values(imagesShape(config, IMAGES), 2);
    const runtime = await startRuntime({ device: 'cpu', threads: 1 });
    try {
      const run = async (built: typeof program, given: Float32Array) => {
        const session = await runtime.load(() => built);
        return (await session.run({ images, parameters: given })).logits!;
      };
      const [before, after] = [await run(program, parameters), await run(plain.program, head)];
      expect(largestDifference(before, after)).toBeLessThan(1e-4);
      // tuned weights that did nothing would prove nothing
      if (![...merged].some(([name, { changed }]) => changed && !isHead(name))) return;
      expect(largestDifference(before, logitsOf(modelOf('linear', config, {}), head))).toBeGreaterThan(1e-3);
    } finally {
      await runtime.close();
    }
  });
}

function counts(method: AnyMethod): void {
  const sizes = PUBLISHED.map((name) => knownBackbone(name)!.config).filter((c) => method.families.includes(c.family));
  it.each(sizes)('trains as many numbers as it says at a published size ($family)', (config) => {
    for (const chosen of optionSets(method)) {
      const { options } = resolveMethods({ method: method.name, options: chosen });
      const nothing = (_: string, shape: Shape) => new Float32Array(size(shape));
      const { layout } = traceModel(modelOf(method.name, config, options, nothing), {
        role: '',
        batch: 1,
        training: false,
        disable: [],
      });
      const head = layout.slots.filter(({ name }) => name.startsWith('head.'));
      const headSize = head.reduce((sum, slot) => sum + slot.size, 0);
      expect(layout.size - headSize).toBe(method.count(config, options, regionOf(config)));
    }
  });
}

function runs(method: AnyMethod): void {
  const root = temporaryFolder();
  let data = '';
  beforeAll(async () => {
    data = await makeImageFolder(root);
  });
  afterAll(() => rmSync(root, { recursive: true }));
  const config = (name: string, blocks = 'all') => ({
    ...settings(data, join(root, name)),
    student: TEACHER,
    teacher: null,
    method: method.name,
    options: fitting(method),
    blocks,
    epochs: 2,
    warmupEpochs: 0,
  });
  const FILES = ['state.safetensors', 'student.safetensors', 'metrics.jsonl'];
  const bytesOf = (name: string) => FILES.map((file) => readFileSync(join(root, name, file)).toString('base64'));

  it.runIf(method.families.includes('vit'))(
    'stopped and resumed, ends with the same bytes; tested again, the same',
    async () => {
      const result = await fineTune(config('whole'));
      const stop = new AbortController();
      let steps = 0;
      const onProgress = ({ kind }: { kind: string }) => kind === 'step' && ++steps === 2 && stop.abort();
      const stopping = fineTune(config('stopped'), { onProgress, signal: stop.signal });
      await expect(stopping).rejects.toMatchObject({ code: 'run.interrupted' });
      const resumed = await resume(join(root, 'stopped'));
      expect(bytesOf('stopped')).toEqual(bytesOf('whole'));
      expect(resumed.correct).toBe(result.correct);
      expect(await evaluateRun(join(root, 'whole'))).toMatchObject({ correct: result.correct, total: result.total });
    },
  );
  it.runIf(method.families.includes('vit') && method.inBlocks !== false)(
    'in the last two blocks alone, is tested again with the same outcome',
    async () => {
      const { correct, total } = await fineTune(config('last', 'last:2'));
      expect(await evaluateRun(join(root, 'last'))).toMatchObject({ correct, total });
    },
  );
}
