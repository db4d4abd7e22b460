/** Methods, losses and backbones against the specification's numbers. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { Backbone, ViTConfig } from '../src/backbones/backbone.js';
import { KNOWN_BACKBONES } from '../src/backbones/known-backbones.js';
import { resolveBackbone } from '../src/backbones/node/registry.js';
import { resizePositionEmbedding } from '../src/backbones/position-embedding.js';
import { crossEntropy, LOSSES, lossByName } from '../src/distill/index.js';
import { gradients } from '../src/graph/differentiate.js';
import { interpret } from '../src/graph/interpret.js';
import { constant, input, reduceMean, scale, sumAll, zeros } from '../src/graph/ops/index.js';
import { methodByName } from '../src/methods/index.js';
import { startRuntime } from '../src/runtime/node/start.js';
import type { Distillation, GradientFlow } from '../src/step/distillation.js';
import { buildForward } from '../src/step/forward.js';
import type { ModelSpec } from '../src/step/model.js';
import { buildTrainStep } from '../src/step/train-step.js';

/** Golden numbers of the specification, computed with PyTorch; those behind `cosine` with NumPy, by central differences. */
const GOLDEN = {
  student: [1, 2, -1, 0.5, -0.5, 3],
  teacher: [2, 0, 1, -1, 1.5, 0],
  kl: {
    value: 0.073908,
    student: [-0.005594, 0.015307, -0.009713, 0.003001, -0.018989, 0.015989],
    teacher: [0.003849, -0.013579, 0.00973, -0.005259, 0.02115, -0.015891],
  },
  mse: {
    value: 4.041667,
    student: [-1 / 3, 2 / 3, -2 / 3, 0.5, -2 / 3, 1],
    teacher: [1 / 3, -2 / 3, 2 / 3, -0.5, 2 / 3, -1],
  },
  mae: {
    value: 1.916667,
    student: [-1, 1, -1, 1, -1, 1].map((v) => v / 6),
    teacher: [1, -1, 1, -1, 1, -1].map((v) => v / 6),
  },
  cosine: {
    value: 1.021193,
    student: [-0.16736, 0.030429, -0.106502, 0.084064, -0.129056, -0.03552],
    teacher: [-0.054772, -0.182574, 0.109545, -0.010383, -0.006922, -0.269953],
  },
  'kl-standardised': {
    value: 0.054165,
    student: [-0.00755, 0.005033, 0.002517, 0.005333, -0.003809, -0.001524],
    teacher: [-0.004349, -0.004349, 0.008697, 0.005735, 0.003824, -0.009559],
  },
  'mse-standardised': {
    value: 2.713052,
    student: [-0.350707, 0.233805, 0.116902, 0.286822, -0.204873, -0.081949],
    teacher: [-0.272771, -0.272773, 0.545544, 0.252317, 0.168212, -0.420529],
  },
  'mse-centred': {
    value: 3.638889,
    student: [-0.222222, 0.777778, -0.555556, 0.222222, -0.944444, 0.722222],
    teacher: [0.222222, -0.777778, 0.555556, -0.222222, 0.944444, -0.722222],
  },
};

describe.each(LOSSES.filter(({ reads }) => reads === 'logits').map((loss) => [loss.name, loss] as const))(
  '%s',
  (name, loss) => {
    it('has the golden value and gradients', () => {
      const s = input('s', [2, 3]);
      const t = input('t', [2, 3]);
      const value = reduceMean(loss.perImage(s, t, 5), [0]);
      const results = interpret([value, ...gradients(value, [s, t])], { s: GOLDEN.student, t: GOLDEN.teacher });
      const golden = GOLDEN[name as 'kl'];
      [[golden.value], golden.student, golden.teacher].forEach((expected, i) => {
        expected.forEach((v, j) => {
          expect(results[i]!.data[j]).toBeCloseTo(v, 5);
        });
      });
    });
  },
);

describe('what losses leave the student free to have otherwise than the teacher', () => {
  const logits = [1, 2, -1, 0.5, 4];
  const loss = (name: string, student: readonly number[], teacher = logits) => {
    const [s, t] = [input('s', [1, 5]), input('t', [1, 5])];
    const [value] = interpret([lossByName(name).perImage(s, t, 2)], { s: student, t: teacher });
    return value!.data[0]!;
  };
  const [offset, spread] = [logits.map((x) => x + 3), logits.map((x) => 7 * x)];
  it.each([
    ['mse-centred', offset, 0],
    ['mse-centred', spread, 36 * 2.76], // six times the logits, of variance 2.76
    ['kl-standardised', offset, 0],
    ['kl-standardised', spread, 0],
    ['mse-standardised', offset, 0],
    ['mse-standardised', spread, 0],
    ['mse-standardised', logits.map((x) => 1 - 2 * x), 4], // 2·(1 − ρ) of ρ = −1
  ])('%s', (name, student, expected) => {
    expect(loss(name, student)).toBeCloseTo(expected, 5);
  });
  it('does not divide by nothing where all logits are equal', () => {
    expect(loss('mse-standardised', [2, 2, 2, 2, 2])).toBeCloseTo(1, 5);
  });
});

it('cross-entropy has the golden values', () => {
  const labels = input('labels', [2], 'int64');
  const mean = (name: string) => scale(sumAll(crossEntropy(input(name, [2, 3]), labels)), 0.5);
  const values = { s: GOLDEN.student, t: GOLDEN.teacher, labels: [1, 2] };
  const [s, t] = interpret([mean('s'), mean('t')], values);
  expect(s!.data[0]).toBeCloseTo(0.227713, 6);
  expect(t!.data[0]).toBeCloseTo(2.086987, 6);
});

/** A backbone of zeros: enough for counting and tracing, at any size. */
function hollow(config: ViTConfig): Backbone {
  const weights = {
    has: () => true,
    constant: zeroConstant,
    values: (_: string, shape: readonly number[]) => new Float32Array(shape.reduce((a, b) => a * b, 1)),
  };
  return { name: 'hollow', config, weights, mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5], path: '', sha256: '' };
}
const zeroConstant = (_: string, shape: readonly number[]) => zeros(shape);
const spec = (config: ViTConfig, method: string, methodOptions = {}, classes = 10): ModelSpec => ({
  backbone: hollow(config),
  method,
  methodOptions,
  classes,
  dropPath: 0,
});
const sizeOf = (name: string) => KNOWN_BACKBONES.find((b) => b.name.startsWith(name))!.config as ViTConfig;

describe('trainable parameters', () => {
  const withoutHead = (model: string, method: string, options = {}) => {
    const config = sizeOf(model);
    const { layout } = buildForward({ model: spec(config, method, options, 10), batch: 1 });
    return layout.size - 10 * (config.width + 1);
  };
  it.each(['sequential', 'parallel', 'parallel-shared'])('of %s are the specification’s', (method) => {
    expect(withoutHead('vit_base', method)).toBe(82_992);
    expect(withoutHead('vit_small', method)).toBe(41_520);
    expect(withoutHead('vit_large', method)).toBe(221_280);
  });
  it('of linear probing are the head alone', () => expect(withoutHead('vit_base', 'linear')).toBe(0));
  it.each([
    ['vit_tiny', 5_524_416],
    ['vit_small', 21_665_664],
    ['vit_base', 85_798_656],
    ['vit_large', 303_301_632],
  ])('of full fine-tuning of %s are the whole backbone', (model, count) => {
    expect(withoutHead(model as string, 'full')).toBe(count);
  });
  it('grow with the hidden dimension as in Table 6', () => {
    const { layout } = buildForward({ model: spec(sizeOf('vit_base'), 'parallel', { hidden: 8 }, 100), batch: 1 });
    expect(layout.size).toBe(233_668);
  });
});

describe('names', () => {
  it('of methods are suggested', () =>
    expect(() => methodByName('paralell')).toThrow("unknown tuning method 'paralell'; did you mean parallel"));
  it('of losses are suggested', () => expect(() => lossByName('msee')).toThrow('did you mean mse'));
  it('of models are suggested', async () => {
    await expect(resolveBackbone('vit_bass_patch16_224')).rejects.toThrow('did you mean vit_base_patch16_224');
  });
  it('of known models that are absent say which file to put where', async () => {
    await expect(resolveBackbone('vit_large_patch16_224')).rejects.toThrow(/get it from https.*put it at/);
  });
});

it('teacher and student must have the same classes', () => {
  const tiny = { ...sizeOf('vit_nano'), depth: 1 };
  expect(() =>
    buildTrainStep({
      student: spec(tiny, 'linear', {}, 10),
      teacher: spec(tiny, 'linear', {}, 7),
      distillation: { loss: 'mse', temperature: 5, alpha: 1, beta: 1, gradient: 'both' },
      microBatch: 2,
    }),
  ).toThrow('the teacher has 7 classes and the student 10');
});

it('starting values depend on seed, role and name alone', () => {
  const layoutOf = (batch: number) => buildForward({ model: spec(sizeOf('vit_nano'), 'parallel'), batch }).layout;
  const a = layoutOf(1).initial(3, 'student');
  expect(layoutOf(8).initial(3, 'student')).toEqual(a);
  expect(layoutOf(1).initial(4, 'student')).not.toEqual(a);
  expect(layoutOf(1).initial(3, 'teacher')).not.toEqual(a);
});

describe('position embeddings', () => {
  const grid = Float32Array.from({ length: 17 * 2 }, (_, i) => Math.sin(i));
  it('keep their values at their own size', () =>
    expect(resizePositionEmbedding(grid, 2, [4, 4], [4, 4])).toEqual(grid));
  // torch.nn.functional.interpolate(torch.sin(torch.arange(34.))[2:].reshape(1,4,4,2).permute(0,3,1,2), (6,6),
  //   mode='bicubic', align_corners=False).permute(0,2,3,1).reshape(-1)[[0, 1, 35, 71]]
  it('are resized as PyTorch does', () => {
    const resized = resizePositionEmbedding(grid, 2, [4, 4], [6, 6]);
    const expected = TORCH_BICUBIC;
    [0, 1, 35, 71].forEach((at, i) => {
      expect(resized[2 + at]).toBeCloseTo(expected[i]!, 5);
    });
  });
});
const TORCH_BICUBIC = [1.192691, 0.354655, -1.10357, 1.225269];

const models = fileURLToPath(new URL('../../shared/models/', import.meta.url));
it('another image size resizes the positions and nothing else', async () => {
  const backbone = await resolveBackbone('vit_nano_patch4_32', { imageSize: 64 });
  expect(backbone.config.imageSize).toBe(64);
  expect(backbone.weights.constant('pos_embed', [1, 257, 64]).shape).toEqual([1, 257, 64]);
  await expect(resolveBackbone('vit_nano_patch4_32', { imageSize: 33 })).rejects.toThrow(
    'image size 33 is not a multiple of patch size 4',
  );
});

it.runIf(existsSync(models))('a wrong size is named with tensor, found and expected shape', async () => {
  const { backboneFromFile } = await import('../src/backbones/node/checkpoint.js');
  const backbone = await backboneFromFile(`${models}vit_nano_patch4_32.cifar10.safetensors`);
  expect(() => backbone.weights.constant('blocks.3.attn.qkv.weight', [1152, 384])).toThrow(
    /blocks\.3\.attn\.qkv\.weight is \[192, 64\], expected \[1152, 384\]|is F32 \[192, 64\], expected float \[1152, 384\]/,
  );
  expect(() => backbone.weights.constant('blocks.9.norm1.weight', [64])).toThrow(
    /blocks\.9\.norm1\.weight \[64\] is missing/,
  );
});

it('adapters start as the authors’ code does: both matrices at N(0, 0.02²), biases at 0', () => {
  const { layout } = buildForward({ model: spec(sizeOf('vit_base'), 'sequential'), batch: 1 });
  const values = layout.initial(1, 'student');
  for (const { name, offset, size } of layout.slots) {
    const own = values.subarray(offset, offset + size);
    const std = Math.sqrt(own.reduce((sum, v) => sum + v * v, 0) / size);
    if (name.endsWith('.bias')) expect(std, name).toBe(0);
    else expect(Math.abs(std - 0.02), name).toBeLessThan(0.002);
  }
});

it('losses are weighted by alpha and beta, and distillation trains whom it should', async () => {
  const runtime = await startRuntime({ device: 'cpu', threads: 1 });
  const config: ViTConfig = { ...sizeOf('vit_nano'), imageSize: 8, width: 8, heads: 2, mlpWidth: 16, depth: 1 };
  const values = (name: string, shape: readonly number[]) =>
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i * 1.7 + name.length));
  const weights = { has: () => true, values, constant: (n: string, s: readonly number[]) => constant(s, values(n, s)) };
  const model: ModelSpec = { ...spec(config, 'parallel', {}, 3), backbone: { ...hollow(config), weights } };
  const run = async (alpha: number, beta: number, gradient: GradientFlow, more: Partial<Distillation> = {}) => {
    const distillation = { loss: 'kl', temperature: 5, alpha, beta, gradient, ...more };
    const step = buildTrainStep({ student: model, teacher: model, distillation, microBatch: 2 });
    const session = await runtime.load(() => step.program);
    const images = values('images', [2, 3, 8, 8]);
    const out = await session.run({
      'student.images': images,
      'teacher.images': images,
      'student.parameters': step.student.initial(1, 'student'),
      'teacher.parameters': step.teacher!.initial(1, 'teacher'),
      labels: BigInt64Array.of(0n, 2n),
      weights: Float32Array.of(0.5, 0.5),
      ...(more.beta === 'fed' && { beta: Float32Array.of(beta) }),
    });
    await session.close();
    const parts = ['student', 'teacher', 'distill', 'total'].map((name) => out[`loss.${name}`]![0]!);
    const norm = (name: string) => Math.hypot(...out[name]!);
    return { parts, student: norm('student.gradient'), teacher: norm('teacher.gradient') };
  };
  const { parts } = await run(2, 3, 'both');
  expect(parts[3]).toBeCloseTo(parts[0]! + 2 * parts[1]! + 3 * parts[2]!, 5);
  expect((await run(0, 1, 'student')).teacher).toBe(0);
  expect((await run(0, 1, 'both')).teacher).toBeGreaterThan(1e-7);
  expect((await run(0, 0, 'both')).teacher).toBe(0);
  expect((await run(0, 100, 'student')).student).not.toBe((await run(0, 0, 'student')).student);
  expect((await run(0, 100, 'teacher')).student).toBe((await run(0, 0, 'student')).student);
  expect((await run(0, 1, 'teacher')).teacher).toBeCloseTo((await run(0, 1, 'both')).teacher, 8);
  expect(await run(2, 3, 'both', { beta: 'fed' })).toEqual(await run(2, 3, 'both'));
  const squared = await run(0, 1, 'student', { squaredTemperature: true });
  expect(squared.parts[2]).toBeCloseTo(25 * parts[2]!, 5);
  expect(squared.student).toBeCloseTo((await run(0, 25, 'student')).student, 6);
  await runtime.close();
});
