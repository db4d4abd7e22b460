/** Heads that start from a fit to the features of the training images. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { randomStream } from '../src/random.js';
import { startRuntime } from '../src/runtime/node/start.js';
import type { Runtime } from '../src/runtime/runtime.js';
import type { FineTuneInput } from '../src/settings/config.js';
import { cholesky, choleskySolve, forwardSubstitution } from '../src/train/cholesky.js';
import { classMeans, type FittedHead, ridge } from '../src/train/head-fit.js';
import { memoryStore } from '../src/train/store.js';
import { both, CLASSES, expectExactResume, imagesInMemory, trainInMemory } from './memory-run.js';

describe('cholesky', () => {
  const n = 6;
  const random = randomStream(1, 'cholesky');
  const root = Array.from({ length: n * n }, () => random.normal());
  const a = Float64Array.from({ length: n * n }, (_, at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    return Array.from({ length: n }, (_, k) => root[i * n + k]! * root[j * n + k]!).reduce((x, y) => x + y, 0);
  });
  const times = (matrix: Float64Array, x: Float64Array) =>
    Array.from({ length: n }, (_, i) => x.reduce((sum, value, j) => sum + matrix[i * n + j]! * value, 0));

  it('solves what it is given', () => {
    const expected = Float64Array.from({ length: n }, (_, i) => i - 2);
    const lower = cholesky(a.slice(), n);
    const solved = choleskySolve(lower, Float64Array.from(times(a, expected)));
    solved.forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i]!, 8);
    });
    const half = lower.map((value, at) => (at % n > Math.floor(at / n) ? 0 : value));
    const ones = new Float64Array(n).fill(1);
    for (const value of times(half, forwardSubstitution(lower, ones.slice()))) expect(value).toBeCloseTo(1, 10);
  });

  it('refuses what is not positive definite', () => {
    expect(() => cholesky(Float64Array.of(1, 0, 2, 1), 2)).toThrow(/not positive definite \(row 1\)/);
  });
});

const [N, D, K] = [15, 4, 3];
const labels = Array.from({ length: N }, (_, i) => [0, 1, 2, 0, 1][i % 5]!);
const random = randomStream(2, 'features');
/** Classes that overlap, far from 0. */
const features = Float32Array.from(
  { length: N * D },
  (_, at) => 5 + random.normal() + (labels[Math.floor(at / D)]! === at % D ? 1.2 : 0),
);
const examples = { features, labels, classes: K };
const rowOf = (i: number) => Array.from(features.subarray(i * D, (i + 1) * D));
const logitsOf = ({ weight, bias }: Pick<FittedHead, 'weight' | 'bias'>, x: readonly number[]) =>
  Array.from(bias, (b, k) => x.reduce((sum, value, d) => sum + weight[k * D + d]! * value, b));

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const entropy = (logits: readonly (readonly number[])[], factor: number) =>
  mean(
    logits.map((row, i) => {
      const scaled = row.map((value) => factor * value);
      return Math.log(scaled.reduce((sum, value) => sum + Math.exp(value), 0)) - scaled[labels[i]!]!;
    }),
  );
const FACTORS = Array.from({ length: 30 }, (_, i) => i + 1);

describe('ridge regression', () => {
  /** Weights [K][D] and intercepts by their definition, with a column of ones that λ does not touch, by elimination. */
  function regression(images: readonly number[], lambda: number) {
    const n = D + 1;
    const rows = images.map((i) => [...rowOf(i), 1]);
    const matrix = Array.from({ length: n }, (_, i) => [
      ...Array.from({ length: n }, (_, j) =>
        rows.reduce((sum, x) => sum + x[i]! * x[j]!, i === j && i < D ? lambda : 0),
      ),
      ...Array.from({ length: K }, (_, k) =>
        rows.reduce((sum, x, r) => sum + (labels[images[r]!] === k ? x[i]! : 0), 0),
      ),
    ]);
    for (let i = 0; i < n; i++) {
      const pivot = matrix[i]!.map((value) => value / matrix[i]![i]!);
      matrix[i] = pivot;
      for (let j = 0; j < n; j++) {
        const factor = matrix[j]![i]!;
        if (j !== i) matrix[j] = matrix[j]!.map((value, c) => value - factor * pivot[c]!);
      }
    }
    return (x: readonly number[]) =>
      Array.from({ length: K }, (_, k) => [...x, 1].reduce((sum, value, d) => sum + value * matrix[d]![n + k]!, 0));
  }
  const all = labels.map((_, i) => i);
  const centre = Array.from({ length: D }, (_, d) => mean(all.map((i) => rowOf(i)[d]!)));
  const variance = mean(centre.map((c, d) => mean(all.map((i) => (rowOf(i)[d]! - c) ** 2))));
  const lambdas = [1e-3, 1e-2, 1e-1, 1, 10, 100].map((share) => share * variance * N);
  const found = ridge(examples);

  it('is that of its definition, times the factor', () => {
    const predict = regression(all, found.lambda!);
    for (const i of all) {
      const expected = predict(rowOf(i));
      logitsOf(found, rowOf(i)).forEach((value, k) => {
        expect(value).toBeCloseTo(found.factor * expected[k]!, 3);
      });
    }
  });

  it('has the λ and the factor with which images left out one by one are told best', () => {
    const without = (lambda: number) =>
      all.map((i) =>
        regression(
          all.filter((j) => j !== i),
          lambda,
        )(rowOf(i)),
      );
    expect(Math.min(...lambdas.map((one) => Math.abs(one / found.lambda! - 1)))).toBeLessThan(1e-6);
    const reached = entropy(without(found.lambda!), found.factor);
    const others = lambdas.flatMap((lambda) => {
      const logits = without(lambda);
      return FACTORS.map((factor) => entropy(logits, factor));
    });
    expect(reached).toBeLessThanOrEqual(Math.min(...others) + 1e-9);
    expect(found.factor).toBeGreaterThan(1);
    expect(found.factor).toBeLessThan(30);
  });
});

describe('class means', () => {
  const found = classMeans(examples);
  const centre = Array.from({ length: D }, (_, d) => mean(labels.map((_, i) => rowOf(i)[d]!)));
  const less = (x: readonly number[]) => x.map((value, d) => value - centre[d]!);
  const norm = (x: readonly number[]) => Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
  const unit = (x: readonly number[]) => x.map((value) => value / norm(x));
  const directions = labels.map((_, i) => unit(less(rowOf(i))));
  const meanOf = (k: number, except = -1) => {
    const own = directions.filter((_, i) => labels[i] === k && i !== except);
    return unit(Array.from({ length: D }, (_, d) => mean(own.map((x) => x[d]!))));
  };
  const product = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, d) => sum + value * b[d]!, 0);

  it('are those of their definition, times the factor', () => {
    const usual = mean(labels.map((_, i) => norm(less(rowOf(i)))));
    for (const [i] of labels.entries()) {
      logitsOf(found, rowOf(i)).forEach((value, k) => {
        expect(value).toBeCloseTo((found.factor * product(meanOf(k), less(rowOf(i)))) / usual, 4);
      });
    }
  });

  it('have the factor with which images left out one by one are told best', () => {
    const without = directions.map((x, i) => [0, 1, 2].map((k) => product(meanOf(k, i), x)));
    const best = Math.min(...FACTORS.map((factor) => entropy(without, factor)));
    expect(entropy(without, found.factor)).toBeLessThanOrEqual(best + 1e-9);
  });
});

it.each([classMeans, ridge])('%o bears classes without images, single images and equal features', (fitHead) => {
  for (const odd of [
    { ...examples, classes: 5 },
    { ...examples, labels: labels.map((label, i) => (i === 0 ? 3 : label)), classes: 4 },
    { ...examples, features: new Float32Array(N * D).fill(2) },
  ]) {
    const { weight, bias, factor } = fitHead(odd);
    expect(weight).toHaveLength(odd.classes * D);
    expect([...weight, ...bias, factor].every(Number.isFinite)).toBe(true);
  }
});

describe('a run whose heads are fitted', () => {
  let runtime: Runtime;
  beforeAll(async () => {
    runtime = await startRuntime({ device: 'cpu', threads: 1 });
  });
  afterAll(() => runtime.close());

  const many = (count: number, salt: string) => {
    const labels = Array.from({ length: count }, (_, i) => i % CLASSES);
    return both(imagesInMemory(count, salt, labels, 60));
  };
  const pixels = {
    train: many(24, 'train'),
    val: many(12, 'val'),
    trainval: many(36, 'trainval'),
    test: many(60, 'test'),
  };
  const still = { epochs: 1, warmupEpochs: 0, cooldownEpochs: 0, lr: 0, minLr: 0 } as const;
  const run = (more: Partial<FineTuneInput>) =>
    trainInMemory(runtime, { ...still, ...more }, memoryStore(), { pixels });
  /** Largest difference, in shares of the largest number. */
  const apart = (a: Float32Array, b: Float32Array) => {
    const scale = Math.max(...a.map(Math.abs));
    return Math.max(...a.map((value, i) => Math.abs(value - b[i]!))) / scale;
  };

  it.each(['class-means', 'ridge'] as const)('%s: knows the classes before training', async (head) => {
    const [fitted, plain] = [await run({ head }), await run({})];
    expect(fitted.result.accuracy).toBeGreaterThan(Math.max(0.8, plain.result.accuracy + 0.2));
    const [ours, theirs] = [fitted, plain].map(({ state }) => state.metrics[0]!.loss);
    expect(ours!.student).toBeLessThan(0.7 * theirs!.student);
    expect(ours!.teacher).toBeLessThan(0.8 * theirs!.teacher);
  });

  it.each(['linear', 'parallel', 'vpt-shallow'])(
    '%s: fits the same behind a frozen prefix and without',
    async (method) => {
      const settings = { head: 'ridge', method, dropPath: method === 'linear' ? 0 : 0.2 } as const;
      const one = await run(settings);
      const other = await run({ ...settings, disable: ['frozen-prefix'] });
      for (const role of ['student', 'teacher'] as const)
        expect(apart(one.state[role]!.parameters, other.state[role]!.parameters)).toBeLessThan(1e-3);
    },
  );

  it('fits images as they are where training changes them', async () => {
    const one = await run({ head: 'class-means' });
    const other = await run({ head: 'class-means', flip: true, cropPadding: 2 });
    expect(apart(one.state.student.parameters, other.state.student.parameters)).toBeLessThan(1e-3);
  });

  it.each(['last', 'val'] as const)(
    'ends with the same numbers after being stopped, by protocol %s',
    async (protocol) => {
      const settings = { head: 'ridge', protocol, epochs: 2, cooldownEpochs: 0, warmupEpochs: 0 } as const;
      await expectExactResume(runtime, settings, (steps) => [1, steps - 3, steps - 1], { pixels });
    },
  );

  it('stops while it fits, and fits again', async () => {
    const store = memoryStore();
    const controller = new AbortController();
    const control = { onProgress: ({ kind }: { kind: string }) => kind === 'evaluate' && controller.abort() };
    const stopped = trainInMemory(runtime, { ...still, head: 'ridge' }, store, {
      ...{ pixels, control: { ...control, signal: controller.signal } },
    });
    await expect(stopped).rejects.toMatchObject({ code: 'run.interrupted' });
    const resumed = await trainInMemory(runtime, { ...still, head: 'ridge' }, store, { pixels });
    expect(resumed.state).toEqual((await run({ head: 'ridge' })).state);
  });
});
