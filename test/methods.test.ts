/** The conformance suite over every method of the registry and one from outside, and what belongs to no single method. */
import { appendFileSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contrastAdapter } from '../examples/contrast-adapter.js';
import { knownBackbone } from '../src/backbones/known-backbones.js';
import { resolveBackbone } from '../src/backbones/node/registry.js';
import { regionOf } from '../src/backbones/region.js';
import { mergeRun } from '../src/export/merge.js';
import { openSafetensors } from '../src/files/node/safetensors-file.js';
import { gradients } from '../src/graph/differentiate.js';
import { emit } from '../src/graph/emit.js';
import { interpret } from '../src/graph/interpret.js';
import { input, mul, relu, scale, sub, sumAll, toFloat } from '../src/graph/ops/index.js';
import { fineTune, resume } from '../src/index.js';
import { METHODS, methodByName, registerMethod } from '../src/methods/index.js';
import {
  kaimingNormalOut,
  kaimingUniform,
  normal,
  truncatedNormal,
  uniform,
  xavierUniform,
} from '../src/methods/parts/initialisers.js';
import { randomStream } from '../src/random.js';
import { startRuntime } from '../src/runtime/node/start.js';
import { resolveMethods } from '../src/settings/method-settings.js';
import { buildForward } from '../src/step/forward.js';
import { drawn, fillKept } from '../src/step/scope.js';
import { conformance, type Exceptions } from './method-conformance.js';
import { makeImageFolder, runBytes, STUDENT, settings, TEACHER, temporaryFolder } from './train-support.js';

/** What methods cannot keep, with the reason. */
const EXCEPTIONS: Record<string, Exceptions> = {
  mona: {
    // Where the head reads the class token alone, which has no neighbours, nothing behind the last attention depends on
    // what is convolved.
    unreached: (config, tensor) =>
      config.family === 'vit' &&
      ['token', 'distilled', undefined].includes(config.pool) &&
      /^blocks\.1\.mona[12]\.(conv|pointwise)/.test(tensor),
  },
};

for (const method of METHODS) conformance(method, EXCEPTIONS[method.name]);
conformance(contrastAdapter);

describe('counts on ViT-B/16 are the specification’s', () => {
  const { config } = knownBackbone('vit_base_patch16_224')!;
  const all = regionOf(config);
  it.each([
    ['full', {}, 85_798_656],
    ['linear', {}, 0],
    ['bitfit', {}, 102_912],
    ['lora', { targets: 'qv' }, 294_912],
    ['lora', { targets: 'qkv' }, 294_912],
    ['ssf', {}, 205_824],
    ['arc', {}, 96_432],
    ['arc', { targets: 'attention' }, 48_216],
    ['repadapter', {}, 239_808],
    ['sequential', {}, 82_992],
    ['parallel', {}, 82_992],
    ['parallel', { init: 'adaptformer' }, 82_992],
    ['parallel-shared', {}, 82_992],
  ])('%s %j', (name, given, count) => {
    const { options } = resolveMethods({ method: name, options: given });
    expect(methodByName(name).count(config, options, all)).toBe(count);
  });
});

describe('starting values', () => {
  const stream = () => randomStream(3, 'start');
  const [rows, columns] = [200, 50];
  const spreadOf = (numbers: Float32Array) => ({
    largest: numbers.reduce((most, v) => Math.max(most, Math.abs(v)), 0),
    std: Math.sqrt(numbers.reduce((sum, v) => sum + v * v, 0) / numbers.length),
  });
  it.each([
    ['kaimingUniform', kaimingUniform(), columns ** -0.5],
    ['kaimingUniform of a bias', kaimingUniform(16), 0.25],
    ['xavierUniform', xavierUniform, Math.sqrt(6 / (rows + columns))],
    ['uniform', uniform(0.3), 0.3],
  ])('%s reaches its bound and has its spread', (_, init, bound) => {
    const { largest, std } = spreadOf(init([rows, columns], stream()));
    expect(largest).toBeLessThanOrEqual(bound);
    expect(largest).toBeGreaterThan(0.99 * bound);
    expect(Math.abs(std / (bound / Math.sqrt(3)) - 1)).toBeLessThan(0.03);
  });
  it.each([
    ['normal', normal(0.1), 0.1],
    ['truncatedNormal', truncatedNormal(0.02), 0.02],
    ['kaimingNormalOut', kaimingNormalOut, Math.sqrt(2 / rows)],
  ])('%s has its spread', (_, init, std) => {
    expect(Math.abs(spreadOf(init([rows, columns], stream())).std / std - 1)).toBeLessThan(0.03);
  });
  it('of convolutions count what lies under the kernel', () => {
    const { largest } = spreadOf(kaimingUniform()([40, 1, 7, 7], stream()));
    expect(largest).toBeLessThanOrEqual(1 / 7);
    expect(largest).toBeGreaterThan(0.99 / 7);
  });
  it('of published heads differ from the default where the card says so', () => {
    const head = (name: string) => methodByName(name).publishedHead?.(64);
    expect(head('lora')).toBe(undefined);
    expect(
      head('arc')!
        .weight([3, 64], stream())
        .every((v) => v === 0),
    ).toBe(true);
    const bias = head('repadapter')!.bias([500], stream());
    expect(spreadOf(bias).largest).toBeGreaterThan(0.12);
    expect(spreadOf(bias).largest).toBeLessThanOrEqual(0.125);
  });
});

describe('dropout', () => {
  it.each([0.1, 0.5, 0.9])('drops at rate %d, each number by itself', (rate) => {
    const kept = new Uint8Array(100_000);
    fillKept(rate)(kept, randomStream(1, 'kept'));
    const dropped = kept.filter((v) => v === 0).length / kept.length;
    expect(Math.abs(dropped - rate)).toBeLessThan(0.006);
    const both = kept.filter((v, i) => v === 0 && kept[i + 1] === 0).length / kept.length;
    expect(Math.abs(both - rate * rate)).toBeLessThan(0.006);
  });

  it('draws an image’s numbers alike whichever call it comes in', () => {
    const draw = { name: 'dropout.x', each: 'image', size: 40, fill: fillKept(0.3) } as const;
    const stream = (...purpose: (string | number)[]) => randomStream(7, ...purpose);
    const all = drawn(draw, [0, 1, 2], stream);
    expect(drawn(draw, [2, 0], stream)).toEqual(Uint8Array.from([...all.subarray(80), ...all.subarray(0, 40)]));
    expect(all.subarray(0, 40)).not.toEqual(all.subarray(40, 80));
    const shared = { ...draw, each: 'batch' } as const;
    expect(drawn(shared, [2], stream)).toEqual(drawn(shared, [0, 1], stream));
  });

  it('puts to zero what the mask leaves out, and scales the rest and its gradient', async () => {
    const x = input('x', [5]);
    const y = scale(mul(x, toFloat(input('kept', [5], 'uint8'))), 1 / 0.75);
    const outputs = { y, gradient: gradients(sumAll(mul(y, y)), [x])[0]! };
    const numbers = { x: Float32Array.of(1, 2, -3, 4, 5), kept: Uint8Array.of(1, 0, 1, 1, 0) };
    const expected = [4 / 3, 0, -4, 16 / 3, 0];
    const runtime = await startRuntime({ device: 'cpu', threads: 1 });
    try {
      const session = await runtime.load(() => emit(outputs));
      const found = await session.run(numbers);
      const exact = interpret(Object.values(outputs), numbers);
      expected.forEach((value, i) => {
        expect(found.y![i]).toBeCloseTo(value, 5);
        expect(exact[0]!.data[i]).toBeCloseTo(value, 6);
        expect(found.gradient![i]).toBeCloseTo((2 * value) / 0.75, 4);
      });
    } finally {
      await runtime.close();
    }
  });

  it('is not read as numbers of another type', () => {
    expect(() => toFloat(input('x', [2]))).toThrow('reads uint8, got float32');
  });
});

it('relu passes the gradient where its input is positive', () => {
  const x = input('x', [4]);
  const y = relu(sub(x, input('c', [4])));
  const [value, gradient] = interpret([y, gradients(sumAll(y), [x])[0]!], { x: [1, -1, 3, 2], c: [0, 0, 1, 2] });
  expect([...value!.data]).toEqual([1, 0, 2, 0]);
  expect([...gradient!.data]).toEqual([1, 0, 1, 0]);
});

describe('registering', () => {
  it('makes a method known by its name', () => {
    expect(methodByName('contrast-adapter')).toBe(contrastAdapter);
  });
  it('does not let a method take the name of another', () => {
    expect(() => registerMethod({ ...contrastAdapter, name: 'lora' })).toThrow("'lora' is a method of idat already");
  });
});

it('a method is refused where it is not defined', () => {
  const alone = methodByName('vpt-deep');
  const { config } = knownBackbone('swin_tiny_patch4_window7_224')!;
  const weights = { has: () => true, values: () => new Float32Array(), constant: () => input('x', [1]) };
  const backbone = { name: 'swin', config, weights, mean: [0], std: [1], path: '', sha256: '' };
  const model = { backbone, method: alone.name, methodOptions: {}, classes: 2, dropPath: 0 };
  expect(() => buildForward({ model, batch: 1 })).toThrow(/vpt-deep: .* is defined for vit backbones, swin is a swin/);
});

describe('runs', () => {
  const root = temporaryFolder();
  let data = '';
  beforeAll(async () => {
    data = await makeImageFolder(root);
  });
  afterAll(() => rmSync(root, { recursive: true }));

  it('may give student and teacher methods and options of their own, and resume with them', async () => {
    const config = (name: string) => ({
      ...settings(data, join(root, name)),
      epochs: 2,
      warmupEpochs: 0,
      method: 'lora',
      options: { rank: 2, targets: 'qkv' },
      teacherMethod: 'repadapter',
      teacherOptions: { hidden: 4, dropout: 0.3 },
      head: 'published' as const,
    });
    await fineTune(config('pair'));
    const stop = new AbortController();
    let steps = 0;
    const onProgress = ({ kind }: { kind: string }) => kind === 'step' && ++steps === 3 && stop.abort();
    await expect(fineTune(config('halt'), { onProgress, signal: stop.signal })).rejects.toThrow('with all saved');
    await resume(join(root, 'halt'));
    expect(runBytes(join(root, 'halt'))).toEqual(runBytes(join(root, 'pair')));
    const stored = JSON.parse(readFileSync(join(root, 'pair', 'config.json'), 'utf8')).settings;
    expect(stored).toMatchObject({ method: 'lora', options: { rank: 2, targets: 'qkv', scale: 1, dropout: 0.1 } });
    expect(stored).toMatchObject({ teacherMethod: 'repadapter', teacherOptions: { hidden: 4, groups: 2 } });
  });

  it('drop the same numbers however a batch is cut', async () => {
    const losses = async (microBatch: number) => {
      const seen: number[] = [];
      const out = join(root, `cut-${microBatch}`);
      const config = {
        ...settings(data, out),
        teacher: null,
        student: TEACHER,
        method: 'lora',
        epochs: 1,
        warmupEpochs: 0,
      };
      await fineTune(
        { ...config, microBatch, options: { dropout: 0.5 } },
        {
          onProgress: (event) => event.kind === 'step' && seen.push(event.losses.student),
        },
      );
      return seen;
    };
    const [whole, cut] = [await losses(8), await losses(3)];
    whole.forEach((loss, i) => {
      expect(cut[i]).toBeCloseTo(loss, 5);
    });
  });

  it.each(['lora', 'bitfit'])('of %s are merged into a checkpoint with the run’s logits', async (method) => {
    const out = join(root, `merge-${method}`);
    await fineTune({
      ...settings(data, out),
      student: STUDENT,
      teacher: null,
      method,
      epochs: 2,
      warmupEpochs: 0,
      lr: 0.05,
    });
    const path = join(root, `${method}.safetensors`);
    const result = await mergeRun(out, path);
    expect(result.changed).toBeGreaterThan(7);
    const card = readFileSync(join(root, `${method}-card.md`), 'utf8');
    expect(result.card).toBe(join(root, `${method}-card.md`));
    const { accuracy, correct, total } = JSON.parse(readFileSync(join(out, 'result.json'), 'utf8'));
    expect(card).toMatch(
      new RegExp(`${(100 * accuracy).toFixed(1)} %.* ${correct} of ${total} images.*; after the last epoch`),
    );
    expect(card).toContain(`| begun from | ${STUDENT}, sha256 `);
    expect(card).toMatch(method === 'lora' ? /\| method \| lora .*rank=\d/ : /\| method \| bitfit \|/);
    expect(card).toContain(`| weights | ${method}.safetensors: `);
    for (const line of readFileSync(join(out, 'metrics.jsonl'), 'utf8').trim().split('\n')) {
      const { epoch, loss } = JSON.parse(line);
      expect(card).toContain(`| ${epoch + 1} | `);
      expect(card).toContain(loss.student.toFixed(4));
    }
    const tunedFile = await openSafetensors(join(out, 'student.safetensors'));
    const mergedFile = await openSafetensors(path);
    const tuned = await resolveBackbone(STUDENT);
    const plain = await resolveBackbone(path);
    expect(plain.config).toEqual(tuned.config);
    const runtime = await startRuntime({ device: 'cpu', threads: 1 });
    try {
      const logits = async (backbone: typeof plain, name: string, file: typeof mergedFile) => {
        const model = { backbone, method: name, methodOptions: {}, classes: 3, dropPath: 0 };
        const { program, layout } = buildForward({ model, batch: 2 });
        const parameters = new Float32Array(layout.size);
        for (const slot of layout.slots) parameters.set(await file.readFloat32(slot.name), slot.offset);
        const images = Float32Array.from({ length: 2 * 3 * 32 * 32 }, (_, i) => Math.sin(i));
        return (await (await runtime.load(() => program)).run({ images, parameters })).logits!;
      };
      const [before, after] = [await logits(tuned, method, tunedFile), await logits(plain, 'linear', mergedFile)];
      before.forEach((value, i) => {
        expect(Math.abs(value - after[i]!)).toBeLessThan(1e-4);
      });
    } finally {
      await runtime.close();
      await tunedFile.close();
      await mergedFile.close();
    }
  });

  it('are not merged where the run is damaged, and without a card where it has no result', async () => {
    const out = join(root, 'merge-bitfit');
    appendFileSync(join(out, 'metrics.jsonl'), '{"phase":\n');
    const damaged = join(root, 'damaged.safetensors');
    await expect(mergeRun(out, damaged)).rejects.toThrow(/metrics\.jsonl, line 3: not JSON/);
    expect(existsSync(damaged)).toBe(false);
    rmSync(join(out, 'result.json'));
    const { card } = await mergeRun(out, join(root, 'early.safetensors'));
    expect(card).toBeNull();
    expect(existsSync(join(root, 'early-card.md'))).toBe(false);
  });

  it('of methods that do not merge are refused with those that do', async () => {
    const out = join(root, 'refused');
    const quick = { epochs: 1, warmupEpochs: 0, teacher: null, student: TEACHER };
    await fineTune({ ...settings(data, out), ...quick, method: 'sequential' });
    await expect(mergeRun(out, join(root, 'no.safetensors'))).rejects.toThrow(
      /sequential does not merge: .* methods that do: .*lora.*ssf/,
    );
  });
});
