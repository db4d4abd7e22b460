import { describe, expect, it } from 'vitest';
import { resolveBackbone } from '../src/backbones/node/registry.js';
import type { PixelStore } from '../src/data/node/index.js';
import { randomStream } from '../src/random.js';
import { ahead } from '../src/runtime/ahead.js';
import { startRuntime } from '../src/runtime/node/start.js';
import { parseConfig, parseVariant, variantName } from '../src/settings/config.js';
import { autoMicroBatch, countCorrect, pieces } from '../src/step/micro-batch.js';
import type { ModelSpec } from '../src/step/model.js';
import { buildTrainStep } from '../src/step/train-step.js';
import { epochBatches, epochOrder, nextBatch } from '../src/train/batches.js';
import { dropPathMultipliers } from '../src/train/drop-path.js';
import { pixelInputs } from '../src/train/inputs.js';
import { batchGradients } from '../src/train/update-step.js';
import { STUDENT, TEACHER } from './train-support.js';

const given = { data: 'images', student: STUDENT };

describe('parseConfig', () => {
  it('refuses what only a teacher could use where there is none, unless it is the default', () => {
    for (const told of [{ distill: 'kl' }, { beta: 2 }, { betaEnd: 0 }, { temperature: 3 }, { featureLayers: [1] }]) {
      const [name] = Object.keys(told);
      expect(() => parseConfig({ ...given, ...told })).toThrow(`${name}: means something only where a teacher teaches`);
      const taught = { ...given, ...told, teacher: TEACHER, distill: 'features' };
      expect(() => parseConfig({ ...taught, ...('distill' in told && told) })).not.toThrow();
    }
    const { splitSeed: _, ...stored } = parseConfig(given);
    expect(parseConfig(stored)).toEqual(parseConfig(given));
  });

  it('has the defaults of the paper', () => {
    expect(parseConfig(given)).toMatchObject({
      epochs: 100,
      warmupEpochs: 10,
      cooldownEpochs: 10,
      lr: 5e-3,
      method: 'parallel-shared',
      options: { hidden: 4, scale: 0.1 },
    });
    expect(parseConfig({ ...given, epochs: 20 })).toMatchObject({ warmupEpochs: 2, cooldownEpochs: 2 });
  });
  it('takes variants apart', () => {
    expect(parseVariant('idat-ps-KL')).toEqual({ method: 'parallel-shared', distill: 'kl' });
    const config = parseConfig({ ...given, teacher: TEACHER, variant: 'iDAT-S-cosine' });
    expect(config).toMatchObject({ method: 'sequential', teacherMethod: 'sequential', distill: 'cosine' });
    expect(variantName(config)).toBe('iDAT-S-cosine');
    expect(() => parseVariant('iDAT-X-mse')).toThrow(/expected iDAT-\{S, P, PS\}/);
    expect(() => parseConfig({ ...given, variant: 'iDAT-S-mse' })).toThrow(/teacher/);
  });
  it.each([
    [{ epochs: 0 }, /^epochs: .*1.*got 0$/],
    [{ method: 'lara' }, /^method: unknown tuning method 'lara'; did you mean lora/],
    [{ teacherMethod: 'sff' }, /^teacherMethod: .*did you mean ssf/],
    [{ method: 'lora', options: { rnak: 4 } }, /^options\.rnak: no such option of lora; did you mean rank/],
    [{ method: 'lora', options: { rank: 0 } }, /^options\.rank: .*1.*got 0$/],
    [
      { method: 'bitfit', teacherOptions: { rank: 1 } },
      /^teacherOptions\.rank: no such option of bitfit, which has none$/,
    ],
    [{ lr: Number.NaN }, /^lr: expected number/],
    [{ epoch: 3 }, /^epoch: no such setting; did you mean epochs/],
  ])('explains what is wrong with %o', (wrong, message) => {
    expect(() => parseConfig({ ...given, ...wrong })).toThrow(message);
  });
});

describe('batches', () => {
  it('shuffle anew each epoch, the same way each time, and drop the rest', () => {
    const order = epochOrder(20, 6, 42, 'final', 0);
    expect(order).toEqual(epochOrder(20, 6, 42, 'final', 0));
    expect(order).not.toEqual(epochOrder(20, 6, 42, 'final', 1));
    expect(order.map((batch) => batch.length)).toEqual([6, 6, 6]);
    expect(new Set(order.flat()).size).toBe(18);
  });
  it('come in pieces whose weights sum to 1', () => {
    const cut = pieces(7, 3);
    expect(cut.map(({ positions }) => positions)).toEqual([
      [0, 1, 2],
      [3, 4, 5],
      [6, 6, 6],
    ]);
    expect(cut.flatMap(({ weights }) => [...weights]).filter((weight) => weight > 0)).toHaveLength(7);
  });
  it('are asked for ahead, in order, and errors come through', async () => {
    async function* source() {
      yield 1;
      yield 2;
      throw new Error('broken');
    }
    const seen: number[] = [];
    const all = async () => {
      for await (const item of ahead(source())) seen.push(item);
    };
    await expect(all()).rejects.toThrow('broken');
    expect(seen).toEqual([1, 2]);
  });
  it('are cut to suit the model', () => {
    expect(autoMicroBatch(32, 197 * 768)).toBe(2);
    expect(autoMicroBatch(32, 65 * 128)).toBe(32);
    expect(autoMicroBatch(5, 65 * 128)).toBe(4);
    expect(autoMicroBatch(32, 1000 * 4096)).toBe(1);
  });
});

it('countCorrect takes the largest logit and skips padding', () => {
  const logits = Float32Array.of(1, 2, 3, 0, 0, 1);
  expect(countCorrect(logits, [1, 0, 1])).toBe(3);
  expect(countCorrect(logits, [1n, 0n, 1n], Float32Array.of(1, 1, 0))).toBe(2);
});

it('dropPathMultipliers rise with the block and keep the mean', () => {
  const depth = 3;
  const images = 4000;
  const values = dropPathMultipliers(depth, 0.4, images, randomStream(1, 'test'));
  for (const [block, keep] of [1, 0.8, 0.6].entries()) {
    const part = values.subarray(block * 2 * images, (block + 1) * 2 * images);
    expect(new Set(part)).toEqual(new Set(keep === 1 ? [1] : [0, Math.fround(1 / keep)]));
    expect(part.reduce((sum, value) => sum + value, 0) / part.length).toBeCloseTo(1, 1);
  }
});

it('micro-batches come to the same losses and gradients as the whole batch', async () => {
  const count = 7;
  const store = {
    count,
    labels: Int32Array.from({ length: count }, (_, i) => i % 3),
    read: async (indices: ArrayLike<number>) =>
      Uint8Array.from(
        { length: indices.length * 3072 },
        (_, at) => (indices[Math.floor(at / 3072)]! * 37 + (at % 3072) * 11) % 251,
      ),
  } as unknown as PixelStore;
  const spec = async (name: string): Promise<ModelSpec> => ({
    backbone: await resolveBackbone(name),
    method: 'parallel-shared',
    methodOptions: { hidden: 4, scale: 0.1 },
    classes: 3,
    dropPath: 0.3,
  });
  const models = { student: await spec(STUDENT), teacher: await spec(TEACHER) };
  const runtime = await startRuntime({ device: 'cpu', threads: 1 });
  const run = async (microBatch: number) => {
    const step = buildTrainStep({
      ...models,
      distillation: { loss: 'mse', temperature: 5, alpha: 1, beta: 1, gradient: 'both' },
      microBatch,
    });
    const session = await runtime.load(() => step.program);
    const parameters = {
      student: { parameters: step.student.initial(1, 'student') },
      teacher: { parameters: step.teacher!.initial(1, 'teacher') },
    };
    const data = { student: pixelInputs(store, models.student), teacher: pixelInputs(store, models.teacher) };
    const plan = { data, models, draws: step.draws, batchSize: count, microBatch, firstStep: 0 };
    const calls = epochBatches({ ...plan, seed: 1, phase: 'final', epoch: 0 });
    return batchGradients(session, nextBatch(calls), parameters);
  };
  const whole = await run(7);
  for (const microBatch of [1, 3]) {
    const parts = await run(microBatch);
    expect(parts.correct).toEqual(whole.correct);
    expect(parts.losses.total).toBeCloseTo(whole.losses.total, 5);
    for (const role of ['student', 'teacher'] as const) {
      const expected = whole.gradients[role]!;
      const scale = Math.max(...expected.map(Math.abs));
      const worst = Math.max(...expected.map((g, i) => Math.abs(g - parts.gradients[role]![i]!)));
      expect(worst / scale).toBeLessThan(1e-5);
    }
  }
  await runtime.close();
});
