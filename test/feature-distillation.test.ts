/** Distillation of features: which blocks meet, what the loss is, and that its matrices are left behind. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backbone, ViTConfig } from '../src/backbones/backbone.js';
import { layerPairs } from '../src/distill/index.js';
import { parseSafetensorsHeader } from '../src/files/safetensors.js';
import { evaluateRun, fineTune, resume } from '../src/index.js';
import { startRuntime } from '../src/runtime/node/start.js';
import type { Runtime } from '../src/runtime/runtime.js';
import type { Distillation } from '../src/step/distillation.js';
import type { ModelSpec } from '../src/step/model.js';
import { buildTrainStep, type TrainStep } from '../src/step/train-step.js';
import { frozen, weightValues } from './small-models.js';
import { makeImageFolder, runBytes, settings, temporaryFolder } from './train-support.js';

it.each([
  [12, 12, undefined, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]],
  [24, 12, [1, 6, 12], [1, 11, 23], [0, 5, 11]],
  [3, 4, undefined, [0, 1, 2, 2], [0, 1, 2, 3]],
])('blocks of depths %d and %d meet in proportion', (student, teacher, layers, own, theirs) => {
  const pairs = layerPairs(student, teacher, layers);
  expect(pairs.map((pair) => pair.student)).toEqual(own);
  expect(pairs.map((pair) => pair.teacher)).toEqual(theirs);
});

const IMAGES = 2;

function model(width: number, depth: number, more: Partial<ViTConfig> = {}): ModelSpec {
  const config: ViTConfig = {
    family: 'vit',
    imageSize: 8,
    patchSize: 4,
    channels: 3,
    width,
    depth,
    heads: 2,
    mlpWidth: 2 * width,
    qkvBias: true,
    layerNormEps: 1e-6,
    ...more,
  };
  const weights = { has: () => true, values: weightValues, constant: frozen };
  const backbone: Backbone = { name: 'small', config, weights, mean: [0.5], std: [0.5], path: '', sha256: '' };
  return { backbone, method: 'parallel', methodOptions: { hidden: 2 }, classes: 3, dropPath: 0 };
}

describe('the loss', () => {
  let runtime: Runtime;
  beforeAll(async () => {
    runtime = await startRuntime({ device: 'cpu', threads: 1 });
  });
  afterAll(() => runtime.close());

  const step = (student: ModelSpec, teacher: ModelSpec, more: Partial<Distillation> = {}) =>
    buildTrainStep({
      ...{ student, teacher, microBatch: IMAGES },
      distillation: { loss: 'features', temperature: 5, alpha: 1, beta: 1, gradient: 'both', ...more },
    });
  const images = Float32Array.from({ length: IMAGES * 3 * 64 }, (_, i) => Math.sin(i * 0.37));

  /** @param change of the student's starting values */
  async function run(
    built: TrainStep,
    change: (values: Float32Array, at: (name: string) => number) => void = () => {},
  ) {
    const own = built.student.initial(1, 'student');
    change(own, (name) => built.student.slots.find((slot) => slot.name === name)!.offset);
    const session = await runtime.load(() => built.program);
    const outputs = await session.run({
      'student.images': images,
      'teacher.images': images,
      'student.parameters': own,
      'teacher.parameters': built.teacher!.initial(1, 'student'), // the student's numbers, for models of the same sizes
      labels: BigInt64Array.of(0n, 2n),
      weights: Float32Array.of(0.5, 0.5),
    });
    await session.close();
    const [loss, total] = [outputs['loss.distill']![0]!, outputs['loss.total']![0]!];
    return { loss, total, gradients: { student: outputs['student.gradient']!, teacher: outputs['teacher.gradient']! } };
  }
  const D = 8;
  const identity =
    (from: number, blocks: readonly number[]) => (values: Float32Array, at: (name: string) => number) => {
      for (const block of blocks) {
        const offset = at(`distill.blocks.${block}.weight`);
        for (let i = 0; i < D * D; i++) values[offset + i] = i % (D + 1) === 0 ? from : 0;
      }
    };

  it('is 0 where the matrices turn the student into its teacher', async () => {
    const twin = step(model(D, 2), model(D, 2));
    expect(twin.student.slots.filter(({ name }) => name.startsWith('distill.'))).toHaveLength(4);
    expect((await run(twin, identity(1, [0, 1]))).loss).toBe(0);
    expect((await run(twin, identity(1, [0]))).loss).toBeGreaterThan(1e-3);
  });

  it('is the mean over layers, tokens and width', async () => {
    // with matrices of zeros a layer's loss is the mean square of the teacher; with ½ of the identity a quarter of it
    const twin = step(model(D, 2), model(D, 2));
    const none = (await run(twin, identity(0, [0, 1]))).loss;
    expect((await run(twin, identity(0.5, [0, 1]))).loss).toBeCloseTo(none / 4, 5);
    // a student that is c everywhere: mean (c − teacher)², of which the second difference in c is 2c²
    const everywhere = async (c: number) => {
      const { loss } = await run(twin, (values, at) => {
        identity(0, [0, 1])(values, at);
        for (const block of [0, 1])
          values.fill(c, at(`distill.blocks.${block}.bias`), at(`distill.blocks.${block}.bias`) + D);
      });
      return loss;
    };
    expect((await everywhere(2)) + (await everywhere(-2)) - 2 * none).toBeCloseTo(8, 4);
    const alone = async (layer: number) =>
      (await run(step(model(D, 2), model(D, 2), { featureLayers: [layer] }), identity(0, [layer - 1]))).loss;
    expect(((await alone(1)) + (await alone(2))) / 2).toBeCloseTo(none, 5);
  });

  it('has the gradients that differences say, matrices included', async () => {
    const built = step(model(4, 3, { heads: 1 }), model(D, 2), { beta: 3 });
    const gradient = (await run(built)).gradients.student;
    for (const { name, offset, size } of built.student.slots) {
      const at = offset + (size >> 1);
      const moved = async (by: number) => (await run(built, (values) => (values[at]! += by))).total;
      const difference = ((await moved(0.05)) - (await moved(-0.05))) / 0.1;
      expect(Math.abs(gradient[at]! - difference), name).toBeLessThan(1e-3 + 0.02 * Math.abs(difference));
    }
  });

  it('trains whom it shall', async () => {
    const norm = async (gradient: Distillation['gradient']) => {
      const built = step(model(4, 2), model(D, 2), { alpha: 0, gradient });
      const { gradients } = await run(built);
      const mapped = built.student.slots.find(({ name }) => name === 'distill.blocks.0.weight')!;
      return {
        teacher: Math.hypot(...gradients.teacher),
        mapped: Math.hypot(...gradients.student.subarray(mapped.offset, mapped.offset + mapped.size)),
      };
    };
    expect((await norm('student')).teacher).toBe(0);
    expect((await norm('student')).mapped).toBeGreaterThan(1e-4);
    expect((await norm('teacher')).mapped).toBe(0);
    expect((await norm('teacher')).teacher).toBeGreaterThan(1e-6);
  });

  it('compares class tokens of grids that differ, and refuses to compare their patches', async () => {
    const fine = model(D, 2, { patchSize: 2 });
    expect(() => step(fine, model(D, 2))).toThrow(/17 tokens where the teacher has 5; compare class tokens/);
    expect((await run(step(fine, model(D, 2), { featureTokens: 'class' }))).loss).toBeGreaterThan(0);
    expect(() => step(fine, model(D, 2), { featureLayers: [3] })).toThrow(/the teacher has 2 blocks, layer 3/);
  });
});

describe('a run', () => {
  const root = temporaryFolder();
  afterAll(() => rmSync(root, { recursive: true }));

  it('leaves the matrices behind, is evaluated without them, and resumes to the same bytes', async () => {
    const data = await makeImageFolder(root);
    const config = (name: string) => ({
      ...settings(data, join(root, name)),
      distill: 'features',
      featureLayers: [3, 6],
    });
    const result = await fineTune(config('whole'));
    const file = readFileSync(join(root, 'whole', 'student.safetensors'));
    const { tensors } = parseSafetensorsHeader(file, file.length, 'student.safetensors');
    expect([...tensors.keys()].filter((name) => name.startsWith('distill.'))).toEqual([]);
    expect((await evaluateRun(result.runDir)).correct).toBe(result.correct);

    const stop = new AbortController();
    let steps = 0;
    const onProgress = ({ kind }: { kind: string }) => kind === 'step' && ++steps === 4 && stop.abort();
    const stopped = fineTune(config('stopped'), { onProgress, signal: stop.signal });
    await expect(stopped).rejects.toMatchObject({ code: 'run.interrupted' });
    await resume(join(root, 'stopped'));
    expect(runBytes(join(root, 'stopped'))).toEqual(runBytes(result.runDir));
  }, 120_000);
});
