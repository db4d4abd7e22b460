/**
 * The conformance suite of the ops, its list taken from the registry: ONNX Runtime computes what the op's float64
 * definition says, and the gradient rule agrees with central differences.
 */

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gradients } from '../src/graph/differentiate.js';
import { emit, type Program } from '../src/graph/emit.js';
import { interpret } from '../src/graph/interpret.js';
import { ALL_OPS, add, div, input, matmul, mul, oneHot, sub, sumAll, toFloat } from '../src/graph/ops/index.js';
import { apply, type NdArray, type Op, type Shape, size, type Tensor } from '../src/graph/tensor.js';
import { randomStream } from '../src/random.js';
import { startRuntime } from '../src/runtime/node/start.js';
import type { Runtime } from '../src/runtime/runtime.js';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await startRuntime({ device: 'cpu', threads: 1 });
});
afterAll(() => runtime.close());

function randomValues(shape: Shape, range: readonly [number, number], seed: number): Float32Array {
  const random = randomStream(seed, 'values');
  return Float32Array.from({ length: size(shape) }, () => range[0] + (range[1] - range[0]) * random.uniform());
}

async function expectOnnxAgrees(outputs: readonly Tensor[], values: Record<string, Float32Array>) {
  const expected = interpret(outputs, values);
  const named = Object.fromEntries(outputs.map((t, i) => [`y${i}`, t]));
  const usual = emit(named);
  const ofWebGpu = emit(named, { path: '', append: () => 0, forms: 'webgpu' });
  for (const program of Buffer.from(usual.model).equals(ofWebGpu.model) ? [usual] : [usual, ofWebGpu]) {
    await expectProgramAgrees(program, expected, values);
  }
}

async function expectProgramAgrees(
  program: Program,
  expected: readonly NdArray[],
  values: Record<string, Float32Array>,
) {
  const session = await runtime.load(() => program);
  const found = await session.run(values);
  await session.close();
  expected.forEach(({ data }, i) => {
    const top = data.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-3);
    data.forEach((v, j) => {
      expect(Math.abs(found[`y${i}`]![j]! - v) / top).toBeLessThan(2e-6);
    });
  });
}

/** d(Σ w∘y)/dx by the gradient rule against (f(x+h) − f(x−h))/2h, everything in float64. */
function expectGradientAgrees(
  inputs: readonly Tensor[],
  outputs: readonly Tensor[],
  values: Record<string, Float32Array>,
) {
  const weighted = outputs.map((y, i) => {
    const w = input(`w${i}`, y.shape);
    return { name: `w${i}`, y, loss: sumAll(mul(y, w)), values: randomValues(y.shape, [-1, 1], 99 + i) };
  });
  const loss = weighted.map((w) => w.loss).reduce(add);
  const feeds: Record<string, ArrayLike<number>> = { ...values };
  for (const w of weighted) feeds[w.name] = w.values;
  const found = interpret(gradients(loss, inputs), feeds);
  inputs.forEach((x, i) => {
    const name = `x${i}`;
    const centre = Float64Array.from(values[name]!);
    for (let j = 0; j < centre.length; j++) {
      const h = 1e-5;
      const at = (delta: number) => {
        const moved = Float64Array.from(centre);
        moved[j]! += delta;
        return interpret([loss], { ...feeds, [name]: moved })[0]!.data[0]!;
      };
      const numeric = (at(h) - at(-h)) / (2 * h);
      expect(Math.abs(found[i]!.data[j]! - numeric), `input ${i}, element ${j} of ${x.shape}`).toBeLessThan(
        1e-7 * Math.max(1, Math.abs(numeric)),
      );
    }
  });
}

describe.each(ALL_OPS.filter((op) => op.cases.length > 0).map((op) => [op.name, op] as const))(
  '%s',
  (_name, op: Op<unknown>) => {
    it.each(op.cases.map((c) => [JSON.stringify(c), c] as const))('%s', async (_text, c) => {
      const inputs = c.inputs.map((shape, i) => input(`x${i}`, shape));
      const values = Object.fromEntries(
        c.inputs.map((shape, i) => [`x${i}`, randomValues(shape, c.range ?? [-2, 2], i + 1)]),
      );
      const outputs = apply(op, inputs, c.attrs);
      await expectOnnxAgrees(outputs, values);
      const differentiated = outputs.filter((_, i) => !op.statistics?.includes(i));
      if (op.vjp) expectGradientAgrees(inputs, differentiated, values);
    });
  },
);

it('every op has cases but those that read integers, which have tests of their own', () => {
  expect(ALL_OPS.filter((op) => op.cases.length === 0).map((op) => op.name)).toEqual([
    'int8Product',
    'oneHot',
    'takeTokens',
    'toFloat',
  ]);
});

it('toFloat', async () => {
  const bytes = input('bytes', [4], 'uint8');
  const session = await runtime.load(() => emit({ y: toFloat(bytes) }));
  const { y } = await session.run({ bytes: Uint8Array.of(0, 1, 127, 255) });
  expect([...y!]).toEqual([0, 1, 127, 255]);
  await session.close();
});

it('oneHot', async () => {
  const labels = input('labels', [3], 'int64');
  for (const forms of ['usual', 'webgpu'] as const) {
    const sink = { path: '', append: () => 0, forms };
    const session = await runtime.load(() => emit({ y: oneHot(labels, 4) }, sink));
    const { y } = await session.run({ labels: BigInt64Array.of(2n, 0n, 3n) });
    expect([...y!]).toEqual([0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1]);
    await session.close();
  }
});

/** Two shapes that broadcast: a common shape of which each side drops leading axes and sets others to 1. */
const broadcastPair = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }).chain((shape) => {
  const side = fc
    .tuple(fc.array(fc.boolean(), { minLength: shape.length, maxLength: shape.length }), fc.nat(shape.length))
    .map(([ones, drop]) => shape.map((n, i) => (ones[i] ? 1 : n)).slice(drop));
  return fc.tuple(side, side);
});

it.each([
  ['add', add],
  ['sub', sub],
  ['mul', mul],
  ['div', div],
] as const)('%s has the right gradient on random broadcasts', (_name, op) => {
  fc.assert(
    fc.property(broadcastPair, fc.nat(1000), ([a, b], seed) => {
      const inputs = [input('x0', a), input('x1', b)];
      const values = { x0: randomValues(a, [0.5, 2], seed), x1: randomValues(b, [0.5, 2], seed + 1) };
      expectGradientAgrees(inputs, [op(inputs[0]!, inputs[1]!)], values);
    }),
    { numRuns: 30 },
  );
});

it('matmul has the right gradient on random shapes, flags and broadcasts', () => {
  const dims = fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 }));
  fc.assert(
    fc.property(broadcastPair, dims, fc.boolean(), fc.boolean(), ([la, lb], [m, k, n], ta, tb) => {
      const a = input('x0', [...la.slice(-2), ...(ta ? [k, m] : [m, k])]);
      const b = input('x1', [...lb.slice(-2), ...(tb ? [n, k] : [k, n])]);
      const values = { x0: randomValues(a.shape, [-1, 1], 5), x1: randomValues(b.shape, [-1, 1], 6) };
      expectGradientAgrees([a, b], [matmul(a, b, ta, tb)], values);
    }),
    { numRuns: 30 },
  );
});
