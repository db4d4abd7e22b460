/** Products in 8-bit integers: what they compute, which products become so, and how far a step's results move. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LOSSES } from '../src/distill/index.js';
import { gradients } from '../src/graph/differentiate.js';
import { emit } from '../src/graph/emit.js';
import { interpret } from '../src/graph/interpret.js';
import { constant, input, int8Product, linear, matmul, parameter, reshape, sumAll } from '../src/graph/ops/index.js';
import { type Int8Largest, quantiseFrozen } from '../src/graph/passes/quantise-frozen.js';
import { type NdArray, type Node, type Shape, size, type Tensor, topologicalOrder } from '../src/graph/tensor.js';
import { METHODS } from '../src/methods/index.js';
import { randomStream } from '../src/random.js';
import { startRuntime } from '../src/runtime/node/start.js';
import type { Feed, Runtime } from '../src/runtime/runtime.js';
import type { FrozenPrecision } from '../src/step/compile.js';
import { buildTrainStep } from '../src/step/train-step.js';
import { INT8_IS_EXACT } from './int8-support.js';
import { drawFeeds, type Model, specOf, trace } from './small-models.js';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await startRuntime({ device: 'cpu', threads: 1 });
});
afterAll(() => runtime.close());

const int8 = (shape: Shape, values: ArrayLike<number>) =>
  constant(shape, { kind: 'memory', values: Int8Array.from(values) });
const floats = (...values: number[]) => constant([values.length], Float32Array.from(values));

function normal(shape: Shape, seed: number, factor = 1): Float32Array {
  const random = randomStream(seed, 'normal');
  return Float32Array.from({ length: size(shape) }, () => factor * random.normal());
}

async function inRuntime(y: Tensor, x: Float32Array): Promise<Float32Array> {
  const session = await runtime.load(() => emit({ y }));
  const found = await session.run({ x });
  await session.close();
  return found.y!;
}

describe('int8Product', () => {
  // The numbers of x span 255, so a step is 1 and they are rounded to whole numbers, halves to the even one.
  it.each([
    ['rounds', [-100, 155, 1.4, -1.6], [-100, 155, 1, -2]],
    ['rounds halves to even', [-100, 155, 2.5, 3.5], [-100, 155, 2, 4]],
    ['rounds halves below zero to even', [-100, 155, -2.5, -3.5], [-100, 155, -2, -4]],
    ['has 0 among its steps when all are positive', [127.5, 255, 100, 200.4], [128, 255, 100, 200]],
    ['has 0 among its steps when all are negative', [-255, -127.5, -0.4, -100], [-255, -128, 0, -100]],
    ['keeps zeros', [0, 0, 0, 0], [0, 0, 0, 0]],
    ['keeps a number repeated', [51, 51, 51, 51], [51, 51, 51, 51]],
  ])('%s', async (_what, numbers, rounded) => {
    const x = input('x', [1, 4]);
    const identity = int8([4, 4], [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]);
    const y = int8Product(x, identity, floats(1, 1, 1, 1));
    const defined = interpret([y], { x: numbers })[0]!.data;
    const found = await inRuntime(y, Float32Array.from(numbers));
    rounded.forEach((value, i) => {
      expect(defined[i], `definition of ${numbers[i]}`).toBeCloseTo(value, 4);
      expect(found[i], `runtime's ${numbers[i]}`).toBeCloseTo(value, 4);
    });
  });

  it('multiplies by the scale of each column and adds the bias', async () => {
    const x = input('x', [2, 2]);
    const y = int8Product(x, int8([2, 3], [127, -127, 0, 1, 2, 0]), floats(0.5, 0.25, 1), floats(10, 20, 30));
    const numbers = [-55, 200, 0, 3];
    const expected = [
      ...[(-55 * 127 + 200) * 0.5 + 10, (55 * 127 + 400) * 0.25 + 20, 30],
      ...[3 * 0.5 + 10, 6 * 0.25 + 20, 30],
    ];
    expect([...interpret([y], { x: numbers })[0]!.data]).toEqual(expected);
    expect([...(await inRuntime(y, Float32Array.from(numbers)))]).toEqual(expected);
  });

  it.runIf(INT8_IS_EXACT).each([
    ['a matrix', [4, 16], 24, true, 1],
    ['a vector of images', [2, 3, 40], 7, false, 1],
    ['four axes', [2, 1, 3, 33], 65, true, 1],
    ['one row', [1, 100], 1, false, 1],
    ['large numbers', [5, 64], 32, true, 1e6],
    ['small numbers', [5, 64], 32, false, 1e-6],
  ] as const)('is in the runtime what it is defined as: %s', async (_what, shape, columns, biased, factor) => {
    const width = shape.at(-1)!;
    const weight = Int8Array.from(normal([width, columns], 1, 50), (v) => Math.max(-127, Math.min(127, v)));
    for (let k = 0; k < width; k++) weight[k * columns] = 0; // a column of zeros
    const scales = constant([columns], normal([columns], 2, 0.01).map(Math.abs));
    const bias = biased ? constant([columns], normal([columns], 3, factor)) : undefined;
    const y = int8Product(input('x', shape), int8([width, columns], weight), scales, bias);
    const numbers = normal(shape, 4, factor);
    numbers.fill(0, 0, width); // a row of zeros
    const defined = interpret([y], { x: numbers })[0]!.data;
    const found = await inRuntime(y, numbers);
    // a number that lies between two steps to seven digits may be rounded either way: one step of one number
    const step = (Math.max(...numbers) - Math.min(0, ...numbers)) / 255;
    const largest = defined.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
    defined.forEach((v, i) => {
      expect(Math.abs(found[i]! - v)).toBeLessThanOrEqual(1e-6 * largest + 1e-3 * step);
    });
  });

  it('says which shapes do not fit', () => {
    const x = input('x', [2, 3]);
    expect(() => int8Product(x, int8([4, 1], [1, 2, 3, 4]), floats(1))).toThrow(
      'int8Product: got [2, 3], [4, 1], [1]; expected [..., K], int8 [K, N], [N], [N]',
    );
    expect(() => int8Product(x, int8([3, 1], [1, 2, 3]), floats(1, 2))).toThrow('got [2, 3], [3, 1], [2]');
    expect(() => int8Product(x, constant([3, 1], new Float32Array(3)), floats(1))).toThrow('expected');
  });
});

const countOf = (name: string, outputs: readonly Tensor[], which: (node: Node) => boolean = () => true) =>
  topologicalOrder(outputs).filter((node) => node.op.name === name && which(node)).length;

describe('rounded weights', () => {
  it('lie at most half a step from the weight, forward and backward, the largest of each column at 127', () => {
    const [N, K] = [40, 50];
    const weight = normal([N, K], 5);
    weight.fill(0, 0, K); // a row of zeros: the scale of its column forward is 1
    for (let n = 0; n < N; n++) weight[n * K] = 0; // the same for backward
    const x = input('x', [3, K]);
    const frozen = constant([N, K], weight);
    const forward = quantiseFrozen([linear(x, frozen)], 'both')[0]!.node;
    const backward = quantiseFrozen([matmul(input('dy', [3, N]), frozen)], 'both')[0]!.node;
    for (const [node, at] of [
      [forward, (k: number, n: number) => weight[n * K + k]!],
      [backward, (k: number, n: number) => weight[k * K + n]!],
    ] as const) {
      const [whole, scales] = [1, 2].map((i) => interpret([node.inputs[i]!], {})[0]!) as [NdArray, NdArray];
      const columns = scales.data.length;
      for (let n = 0; n < columns; n++) {
        let largest = 0;
        for (let k = 0; k < whole.data.length / columns; k++) {
          const rounded = whole.data[k * columns + n]!;
          largest = Math.max(largest, Math.abs(rounded));
          expect(Math.abs(rounded * scales.data[n]! - at(k, n))).toBeLessThanOrEqual(scales.data[n]! * 0.500_001);
        }
        expect([n, largest]).toEqual([n, n === 0 ? 0 : 127]);
      }
      expect(scales.data[0]).toBe(1);
    }
  });

  it('are asked of a large source once for both what is rounded and its scales', () => {
    let asked = 0;
    const load = () => {
      asked++;
      return normal([32, 32], 6);
    };
    const weight = constant([32, 32], { kind: 'computed', dtype: 'float32', load });
    emit({ y: quantiseFrozen([linear(input('x', [1, 32]), weight)], 'both')[0]! });
    expect(asked).toBe(1);
  });
});

/** Wide enough for some products to be worth it: width 32, MLP 48; the patches have 12 numbers and stay as they are. */
const wide = (method: string, dropPath = 0): Model => ({
  config: {
    family: 'vit',
    imageSize: 6,
    patchSize: 2,
    channels: 3,
    width: 32,
    depth: 2,
    heads: 4,
    mlpWidth: 48,
    qkvBias: true,
    layerNormEps: 1e-6,
  },
  method,
  dropPath,
});

describe('quantising', () => {
  const step = (method: string) => {
    const traced = trace(wide(method), 2);
    const loss = sumAll(traced.logits);
    return [loss, ...gradients(loss, traced.parameters)];
  };
  const isFrozen = (node: Node) => node.inputs[1]!.node.op.name === 'constant';
  const large = (node: Node) => isFrozen(node) && node.inputs[1]!.shape.every((n) => n >= 32);

  it.each([
    // blocks 0 and 1 have four frozen products each; queries, keys and values are one of them before they are split
    ['parallel', 8, 4],
    ['parallel-shared', 8, 6],
    ['sequential', 8, 4],
    ['linear', 8, 0],
    ['full', 0, 0],
  ] as const)('replaces every large frozen product of %s and nothing else', (method, forward, backward) => {
    const before = step(method);
    expect([countOf('linear', before, large), countOf('matmul', before, large)]).toEqual([forward, backward]);
    for (const [which, replaced] of [
      ['forward', [forward, 0]],
      ['both', [forward, backward]],
    ] as const) {
      const after = quantiseFrozen(before, which);
      const left = ['linear', 'matmul'].map((name) => countOf(name, before) - countOf(name, after));
      expect(left).toEqual(replaced);
      expect(countOf('int8Product', after)).toBe(replaced[0] + replaced[1]);
    }
  });

  it('leaves alone what is small, trained, turned around or of three axes', () => {
    const x = input('x', [2, 32]);
    const weight = constant([32, 32], normal([32, 32], 1));
    const alone = [
      linear(x, constant([31, 32], normal([31, 32], 1))),
      linear(x, constant([32, 32], normal([32, 32], 1)), parameter('b', [32])),
      linear(x, parameter('w', [32, 32])),
      matmul(x, weight, false, true),
      matmul(input('y', [32, 2]), weight, true, false),
      matmul(reshape(x, [1, 2, 32]), constant([1, 32, 32], normal([32, 32], 1))),
      matmul(weight, input('z', [32, 2])),
    ];
    expect(quantiseFrozen(alone, 'both')).toEqual(alone);
  });
});

/** Frozen weights as large as a trained model's: products keep the size of what they multiply. */
function lifelike(name: string, shape: Shape): Tensor {
  const isGain = /norm\d?\.weight$/.test(name);
  const spread = shape.length > 1 && name.endsWith('.weight') ? size(shape.slice(1)) ** -0.5 : 0.1;
  return constant(
    shape,
    normal(shape, name.length, spread).map((v) => v + Number(isGain)),
  );
}

describe('a step with 8-bit products', () => {
  const models = fc
    .record({ method: fc.constantFrom(...METHODS.map(({ name }) => name)), dropPath: fc.constantFrom(0, 0.4) })
    .map(({ method, dropPath }) => wide(method, dropPath));
  const B = 3;
  interface Rounding {
    readonly frozen: FrozenPrecision;
    readonly int8Largest?: Int8Largest;
  }
  const build = (student: Model, teacher: Model | null, loss: string, rounding: Rounding) =>
    buildTrainStep({
      student: specOf(student, 4, lifelike),
      teacher: teacher && specOf(teacher, 4, lifelike),
      distillation: { loss, temperature: 5, alpha: 1, beta: 1, gradient: 'both' },
      microBatch: B,
      ...rounding,
    });

  async function results(student: Model, teacher: Model | null, loss: string, seed: number, rounding: Rounding) {
    const step = build(student, teacher, loss, rounding);
    const feeds: Record<string, Feed> = {
      labels: BigInt64Array.of(0n, 2n, 3n),
      weights: new Float32Array(B).fill(1 / B),
      ...drawFeeds(step, B),
    };
    for (const [i, role] of (['student', 'teacher'] as const).entries()) {
      feeds[`${role}.images`] = normal([B, 3, 6, 6], seed + i);
      feeds[`${role}.parameters`] = normal([step[role]?.size ?? 0], seed + 2 + i, 0.1);
      feeds[`${role}.dropPath`] = new Float32Array(2 * 2 * B).fill(1);
      feeds[`${role}.second.dropPath`] = feeds[`${role}.dropPath`]!; // of methods that pass over a batch twice
    }
    const session = await runtime.load(() => step.program);
    const found = await session.run(feeds);
    await session.close();
    // the head's gradient, the largest, goes through no frozen product
    for (const role of ['student', 'teacher'] as const) {
      const head = step[role]?.slots.find(({ name }) => name === 'head.weight');
      if (head) found[`${role}.gradient`] = found[`${role}.gradient`]!.subarray(0, head.offset);
    }
    return found;
  }

  /** Twice the largest that was seen: of losses the difference, of the others its size over theirs. */
  const LOSS_BOUND = 0.035;
  const LOGITS_BOUND = 0.055;
  const GRADIENT_BOUND = 0.07;
  /** The whole backbone lies between these prompts and the loss. */
  const SHALLOW_PROMPTS_BOUND = 0.23;

  /** ‖found − expected‖ / ‖expected‖ */
  const relative = (found: Float32Array, expected: Float32Array) =>
    Math.hypot(...found.map((v, i) => v - expected[i]!)) / (Math.hypot(...expected) || 1);

  // Twice the largest seen. The models drawn are always the same ones, as mae's gradient jumps where two logits are nearly
  // equal.
  // Half a byte has steps twice as wide.
  const ranges: readonly { int8Largest: Int8Largest; numRuns: number; wider: number }[] = [
    { int8Largest: 63, numRuns: INT8_IS_EXACT ? 4 : 12, wider: 2 },
    ...(INT8_IS_EXACT ? [{ int8Largest: 127, numRuns: 12, wider: 1 } as const] : []),
  ];
  it.each(ranges)(
    'has losses and gradients near those in float32: $int8Largest',
    async ({ int8Largest, numRuns, wider }) => {
      const loss = fc.constantFrom(...LOSSES.filter(({ reads }) => reads === 'logits').map(({ name }) => name));
      await fc.assert(
        fc.asyncProperty(models, fc.option(models), loss, fc.nat(1000), async (student, teacher, name, seed) => {
          const exact = await results(student, teacher, name, seed, { frozen: 'float32' });
          const forward = await results(student, teacher, name, seed, { frozen: 'int8-forward', int8Largest });
          const both = await results(student, teacher, name, seed, { frozen: 'int8', int8Largest });
          for (const [key, numbers] of Object.entries(exact)) {
            for (const found of [forward, both]) {
              if (key.startsWith('loss.'))
                expect(Math.abs(found[key]![0]! - numbers[0]!), key).toBeLessThan(wider * LOSS_BOUND);
              else if (key.endsWith('.logits'))
                expect(relative(found[key]!, numbers), key).toBeLessThan(wider * LOGITS_BOUND);
              else {
                const { method } = key.startsWith('student.') ? student : teacher!;
                const bound = method === 'vpt-shallow' ? SHALLOW_PROMPTS_BOUND : GRADIENT_BOUND;
                expect(relative(found[key]!, numbers), key).toBeLessThan(wider * bound);
              }
            }
            // what runs forward is the same in both
            if (!key.endsWith('.gradient')) expect(both[key], key).toEqual(forward[key]);
          }
          const methods = [student, ...(teacher ? [teacher] : [])].map(({ method }) => method);
          if (methods.every((method) => method === 'full')) expect(both).toEqual(exact);
          // a product whose bias trains stays as it is forward
          else if (!methods.every((method) => method === 'full' || method === 'bitfit'))
            expect(forward['loss.total']).not.toEqual(exact['loss.total']);
        }),
        { seed: 1, numRuns },
      );
    },
  );

  it('is the same program whenever it is built', () => {
    for (const frozen of ['int8-forward', 'int8'] as const) {
      const [one, other] = [0, 1].map(() => build(wide('parallel'), wide('sequential'), 'mse', { frozen }).program);
      expect(Buffer.from(one!.model).equals(Buffer.from(other!.model))).toBe(true);
    }
    const [forward, both] = (['int8-forward', 'int8'] as const).map((frozen) =>
      build(wide('parallel'), null, 'mse', { frozen }),
    );
    expect(Buffer.from(forward!.program.model).equals(Buffer.from(both!.program.model))).toBe(false);
  });
});
