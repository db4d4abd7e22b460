/**
 * What idat computes on WebGPU, on a software adapter where there is no other, against definitions in float64: every op, and
 * losses and gradients of a student and its teacher. Needs a Vulkan driver, such as Chromium's SwiftShader behind libvulkan1.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ViTConfig } from '../src/backbones/backbone.js';
import { crossEntropy } from '../src/distill/index.js';
import { kl } from '../src/distill/kl.js';
import { gradients } from '../src/graph/differentiate.js';
import { emit } from '../src/graph/emit.js';
import { interpret } from '../src/graph/interpret.js';
import { ALL_OPS, add, input, oneHot, sumAll, takeTokens, toFloat } from '../src/graph/ops/index.js';
import { packGradients, parameterName, unpackParameters } from '../src/graph/pack.js';
import { apply, type Op, type Shape, size, type Tensor } from '../src/graph/tensor.js';
import { randomStream } from '../src/random.js';
import { startRuntime } from '../src/runtime/node/start.js';
import type { Feed, Runtime } from '../src/runtime/runtime.js';
import { trace } from './small-models.js';
import { hasWebGpu, unlessSkipped } from './webgpu-support.js';

type Outputs = Record<string, Tensor>;
type Feeds = Record<string, Feed>;

function randomValues(shape: Shape, range: readonly [number, number], seed: number): Float32Array {
  const random = randomStream(seed, 'values');
  return Float32Array.from({ length: size(shape) }, () => range[0] + (range[1] - range[0]) * random.uniform());
}

describe.runIf(hasWebGpu)(`on WebGPU${unlessSkipped}`, () => {
  let runtime: Runtime;
  beforeAll(async () => {
    runtime = await startRuntime({ device: 'webgpu', threads: 1 });
  }, 120_000);
  afterAll(() => runtime?.close());

  /** Runs all in one program, and holds it against float64. */
  async function expectDefined(outputs: Outputs, feeds: Feeds, bound: number): Promise<void> {
    const session = await runtime.load((sink) => emit(outputs, sink));
    const found = await session.run(feeds);
    await session.close();
    const numbers = Object.entries(feeds).map(([name, feed]) => [name, Array.from(feed, Number)]);
    const expected = interpret(Object.values(outputs), Object.fromEntries(numbers));
    Object.keys(outputs).forEach((name, at) => {
      const { data } = expected[at]!;
      const top = data.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-3);
      const off = data.reduce((most, v, j) => Math.max(most, Math.abs(found[name]![j]! - v) / top), 0);
      expect(off, name).toBeLessThan(bound);
    });
  }

  it('every op computes what its definition says', async () => {
    const outputs: Outputs = {};
    const feeds: Feeds = {};
    const given = (name: string, shape: Shape, feed: Feed, dtype: 'int64' | 'uint8') => {
      feeds[name] = feed;
      return input(name, shape, dtype);
    };
    for (const op of ALL_OPS as readonly Op<unknown>[]) {
      for (const [number, { inputs: shapes, attrs, range }] of op.cases.entries()) {
        const inputs = shapes.map((shape, i) => {
          const name = `${op.name}.${number}.x${i}`;
          feeds[name] = randomValues(shape, range ?? [-2, 2], i + 1);
          return input(name, shape);
        });
        apply(op, inputs, attrs).forEach((y, i) => {
          outputs[`${op.name}.${number}.y${i}`] = y;
        });
      }
    }
    outputs.oneHot = oneHot(given('labels', [3], BigInt64Array.of(2n, 0n, 3n), 'int64'), 4);
    feeds.tokens = randomValues([2, 3, 4], [-2, 2], 1);
    const kept = given('kept', [2, 2], BigInt64Array.of(2n, 0n, 1n, 1n), 'int64');
    outputs.takeTokens = takeTokens(input('tokens', [2, 3, 4]), kept);
    outputs.toFloat = toFloat(given('bytes', [4], Uint8Array.of(0, 1, 127, 255), 'uint8'));
    await expectDefined(outputs, feeds, 2e-6);
  }, 180_000);

  it('losses and gradients of a step are those of float64', async () => {
    const config: ViTConfig = {
      ...{ family: 'vit', imageSize: 4, patchSize: 2, channels: 3, width: 8, depth: 2, heads: 2, mlpWidth: 12 },
      ...{ qkvBias: true, layerNormEps: 1e-6 },
    };
    const B = 2;
    const models = (['student.', 'teacher.'] as const).map((role) =>
      trace({ config, method: 'parallel', dropPath: 0 }, B, { role }),
    );
    const [student, teacher] = models as [(typeof models)[0], (typeof models)[0]];
    const labels = input('labels', [B], 'int64');
    const losses = models.map(({ logits }) => sumAll(crossEntropy(logits, labels)));
    const distill = sumAll(kl.perImage(student.logits, teacher.logits, 5));
    const total = add(add(losses[0]!, losses[1]!), distill);
    const groups = models.map(({ parameters }, i) => ({ inputName: `parameters.${i}`, parameters }));
    const found = gradients(
      total,
      groups.flatMap(({ parameters }) => parameters),
    );
    const packed = groups.map(({ parameters }) => packGradients(found.splice(0, parameters.length)));
    const outputs = unpackParameters({ total, student: packed[0]!, teacher: packed[1]! }, groups);
    const feeds: Feeds = { labels: BigInt64Array.of(0n, 2n) };
    for (const [i, { parameters, numbers }] of models.entries()) {
      expect(parameters.length).toBeGreaterThan(9); // more than a kernel of WebGPU splits a vector into
      const vector = parameters.flatMap((p) => Array.from(numbers[parameterName(p)]!));
      feeds[`parameters.${i}`] = Float32Array.from(vector);
      const images = `${['student', 'teacher'][i]}.images`;
      feeds[images] = Float32Array.from(numbers[images]!);
    }
    await expectDefined(outputs, feeds, 5e-6);
  }, 180_000);
});
