/** The frozen prefix: where a model is cut, and that the two parts are the whole. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { blocks, imagesShape } from '../src/backbones/architecture.js';
import type { ViTConfig } from '../src/backbones/backbone.js';
import { crossEntropy } from '../src/distill/index.js';
import { gradients } from '../src/graph/differentiate.js';
import type { Program } from '../src/graph/emit.js';
import { interpret } from '../src/graph/interpret.js';
import {
  add,
  broadcastTo,
  gelu,
  input,
  layerNorm,
  linear,
  mul,
  parameter,
  reshape,
  sumAll,
  transpose,
} from '../src/graph/ops/index.js';
import { cutFrozenPrefix } from '../src/graph/passes/frozen-prefix.js';
import { pushDownSlices } from '../src/graph/passes/push-down-slices.js';
import { size, type Tensor } from '../src/graph/tensor.js';
import { startRuntime } from '../src/runtime/node/start.js';
import type { Feed, Runtime } from '../src/runtime/runtime.js';
import { buildForward } from '../src/step/forward.js';
import type { ModelSpec } from '../src/step/model.js';
import { buildPrefix } from '../src/step/prefix.js';
import { buildTrainStep } from '../src/step/train-step.js';
import { dropPathMultipliers } from '../src/train/drop-path.js';
import { alternating, drawFeeds, frozen, type Model, models, specOf, trace, values } from './small-models.js';

const nameOf = (index: number) => `prefix.${index}`;

const lossAndGradients = (logits: Tensor, parameters: readonly Tensor[]): Tensor[] => {
  const loss = sumAll(crossEntropy(logits, input('labels', [logits.shape[0]!], 'int64')));
  return [loss, ...gradients(loss, parameters)];
};

/** Whether the very first product with the image is trained, or the bias added to it. */
const trainsFirst = ({ method, config, blocks: chosen = [0] }: Model): boolean =>
  chosen.includes(0) &&
  (method === 'full' || (method === 'bitfit' && !(config.family === 'vit' && config.patchBias === false)));

describe('cutting', () => {
  it('gives the very losses and gradients of the whole graph, in float64', () => {
    fc.assert(
      fc.property(models, fc.integer({ min: 1, max: 3 }), fc.boolean(), (model, B, pushed) => {
        const traced = trace(model, B);
        const logits = pushed ? pushDownSlices.apply([traced.logits])[0]! : traced.logits;
        const cut = cutFrozenPrefix([logits], traced.images, nameOf);
        if (trainsFirst(model)) {
          expect(cut).toBe(null);
          return;
        }
        const whole = interpret(lossAndGradients(logits, traced.parameters), traced.numbers);
        const crossing = interpret(cut!.boundary, traced.numbers).map(({ data }, i) => [nameOf(i), data]);
        const { images: _, ...others } = traced.numbers; // the rest has to do without them
        const rest = lossAndGradients(cut!.rest[0]!, traced.parameters);
        expect(interpret(rest, { ...others, ...Object.fromEntries(crossing) })).toEqual(whole);
      }),
      { numRuns: 60 },
    );
  });

  const boundaryOf = (method: string, dropPath: number) => {
    const config = {
      family: 'vit' as const,
      imageSize: 8,
      patchSize: 4,
      channels: 3,
      width: 6,
      depth: 3,
      heads: 2,
      mlpWidth: 12,
    };
    const traced = trace({ config: { ...config, qkvBias: true, layerNormEps: 1e-6 }, method, dropPath }, 2);
    return cutFrozenPrefix(pushDownSlices.apply([traced.logits]), traced.images, nameOf)?.boundary.map((t) => t.shape);
  };
  const stream = [2, 5, 6];
  it.each([
    ['sequential', [stream]],
    ['parallel', [stream, stream]],
    ['parallel-shared', [stream, stream]],
    ['full', undefined],
  ])('of %s hands over just that, with drop path as well', (method, shapes) => {
    expect(boundaryOf(method, 0)).toEqual(shapes);
    expect(boundaryOf(method, 0.2)).toEqual(shapes);
  });
  it('of linear probing hands over the class token alone', () => {
    expect(boundaryOf('linear', 0)).toEqual([[2, 6]]);
  });

  const images = input('images', [2, 4]);
  const kernel = frozen('kernel', [4, 4]);
  const trained = parameter('trained', [4]);
  it('recomputes what is cheap to compute from what crosses anyway', () => {
    const x = linear(images, kernel);
    const normal = layerNorm(x, frozen('gain', [4]), frozen('shift', [4]), 1e-6);
    const product = linear(gelu(normal), kernel);
    const outputs = [mul(normal, trained), mul(x, trained), mul(product, trained)];
    expect(cutFrozenPrefix(outputs, images, nameOf)!.boundary).toEqual([x, product]);
  });
  it('lets constants stand on either side rather than cross', () => {
    const wide = broadcastTo(frozen('row', [1, 4]), [2, 4]);
    const cut = cutFrozenPrefix([mul(add(linear(images, kernel), wide), add(trained, wide))], images, nameOf)!;
    expect(cut.boundary).toHaveLength(1);
  });
  it('hands over outputs that belong to the prefix', () => {
    const x = linear(images, kernel);
    const y = linear(x, kernel);
    const cut = cutFrozenPrefix([y, mul(x, trained)], images, nameOf)!;
    expect(cut.boundary).toEqual([x, y]);
    expect(cut!.rest[0]!.node.attrs).toMatchObject({ name: 'prefix.1' });
  });
  it('is not worth it where nothing is multiplied', () => {
    const moved = transpose(reshape(images, [2, 2, 2]), [0, 2, 1]);
    expect(cutFrozenPrefix([mul(reshape(moved, [2, 4]), trained)], images, nameOf)).toBe(null);
    expect(cutFrozenPrefix([linear(images, parameter('weight', [4, 4]))], images, nameOf)).toBe(null);
  });
});

describe('in the runtime', () => {
  let runtime: Runtime;
  beforeAll(async () => {
    runtime = await startRuntime({ device: 'cpu', threads: 1 });
  });
  afterAll(() => runtime.close());

  async function run(program: Program, feeds: Readonly<Record<string, Feed>>) {
    const session = await runtime.load(() => program);
    try {
      return await session.run(feeds);
    } finally {
      await session.close();
    }
  }

  /** What a prefix makes of some images, a call at a time. */
  async function prefixed(spec: ModelSpec, images: Float32Array, count: number, role = '') {
    const prefix = buildPrefix(spec);
    if (!prefix) return { prefix, feeds: { [`${role}images`]: images } };
    const length = images.length / count;
    const feeds = Object.fromEntries(
      prefix.tensors.map(({ name, shape }) => [`${role}${name}`, new Float32Array(count * size(shape))]),
    );
    for (let start = 0; start < count; start += prefix.batch) {
      const part = new Float32Array(prefix.batch * length);
      part.set(images.subarray(start * length, (start + prefix.batch) * length));
      const out = await run(prefix.compile(), { images: part });
      for (const { name, shape } of prefix.tensors) {
        const own = Math.min(prefix.batch, count - start) * size(shape);
        feeds[`${role}${name}`]!.set(out[name]!.subarray(0, own), start * size(shape));
      }
    }
    return { prefix, feeds };
  }

  it('a step behind its prefixes has the losses and gradients of the whole step', async () => {
    await fc.assert(
      fc.asyncProperty(models, models, async (first, second) => {
        const m = 3;
        const specs = { student: specOf(first), teacher: specOf(second) };
        const distillation = { loss: 'mse', temperature: 5, alpha: 1, beta: 1, gradient: 'both' as const };
        const whole = buildTrainStep({ ...specs, distillation, microBatch: m });
        const feeds: Record<string, Feed> = {
          labels: BigInt64Array.of(0n, 2n, 1n),
          weights: Float32Array.of(0.5, 0.3, 0.2),
          ...drawFeeds(whole, m),
        };
        const images: Record<string, Float32Array> = {};
        for (const role of ['student', 'teacher'] as const) {
          const { config, dropPath } = role === 'student' ? first : second;
          images[role] = values(imagesShape(config, m), 2);
          feeds[`${role}.parameters`] = whole[role]!.initial(1, role);
          feeds[`${role}.dropPath`] = dropPathMultipliers(blocks(config).length, dropPath, m, alternating());
          feeds[`${role}.second.dropPath`] = feeds[`${role}.dropPath`]!; // of methods that pass over a batch twice
        }
        const student = await prefixed(specs.student, images.student!, m, 'student.');
        const teacher = await prefixed(specs.teacher, images.teacher!, m, 'teacher.');
        const prefixes = { student: student.prefix, teacher: teacher.prefix };
        const rest = buildTrainStep({ ...specs, distillation, microBatch: m, prefixes });
        const expected = await run(whole.program, {
          ...feeds,
          'student.images': images.student!,
          'teacher.images': images.teacher!,
        });
        const got = await run(rest.program, { ...feeds, ...student.feeds, ...teacher.feeds });
        expect(Object.keys(got)).toEqual(Object.keys(expected));
        for (const [name, numbers] of Object.entries(expected)) {
          const scale = Math.max(1e-3, ...numbers.map(Math.abs));
          const worst = Math.max(0, ...numbers.map((value, i) => Math.abs(value - got[name]![i]!)));
          expect(worst / scale, name).toBeLessThan(1e-5);
        }
      }),
      { numRuns: 12 },
    );
  }, 60_000);

  const config: ViTConfig = {
    family: 'vit',
    imageSize: 16,
    patchSize: 4,
    channels: 3,
    width: 24,
    depth: 2,
    heads: 3,
    mlpWidth: 40,
    qkvBias: true,
    layerNormEps: 1e-6,
  };

  it('a classifier behind its prefix has the logits of the whole', async () => {
    for (const method of ['linear', 'parallel-shared']) {
      const model = specOf({ config, method, dropPath: 0 });
      const images = values([5, 3, 16, 16], 4);
      const { prefix, feeds } = await prefixed(model, images, 5);
      const whole = buildForward({ model, batch: 5 });
      const parameters = whole.layout.initial(1, 'student');
      const expected = (await run(whole.program, { images, parameters })).logits!;
      const got = (await run(buildForward({ model, batch: 5, prefix }).program, { ...feeds, parameters })).logits!;
      got.forEach((logit, i) => {
        expect(logit).toBeCloseTo(expected[i]!, 5);
      });
    }
  });

  it('a prefix gives the same bytes for an image whatever is computed beside it', async () => {
    for (const method of ['linear', 'parallel', 'parallel-shared', 'sequential']) {
      const prefix = buildPrefix(specOf({ config, method, dropPath: 0 }))!;
      const session = await runtime.load(() => prefix.compile());
      const image = values([3, 16, 16], 9);
      const results = new Set<string>();
      for (let position = 0; position < prefix.batch; position++) {
        const images = values([prefix.batch, 3, 16, 16], position);
        images.set(image, position * image.length);
        const out = await session.run({ images });
        const own = prefix.tensors.map(({ name, shape }) => {
          const length = size(shape);
          return [...out[name]!.subarray(position * length, (position + 1) * length)];
        });
        results.add(JSON.stringify(own));
      }
      expect(results.size, method).toBe(1);
      await session.close();
    }
  });

  it('is switched off by its name, and refuses another model’s prefix', () => {
    const parallel = specOf({ config, method: 'parallel', dropPath: 0 });
    expect(buildPrefix(parallel, ['frozen-prefix'])).toBe(null);
    const prefix = buildPrefix(specOf({ config, method: 'sequential', dropPath: 0 }));
    expect(() => buildForward({ model: parallel, batch: 2, prefix })).toThrow(/prefix was built for another model/);
  });
});
