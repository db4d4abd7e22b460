/** What each rewriting pass does to the graph it is for, and what it must leave alone. */
import { describe, expect, it } from 'vitest';
import { countFlops } from '../src/graph/cost.js';
import { gradients } from '../src/graph/differentiate.js';
import { interpret } from '../src/graph/interpret.js';
import {
  add,
  constant,
  gelu,
  input,
  layerNorm,
  linear,
  matmul,
  mul,
  neg,
  parameter,
  reduceSum,
  reshape,
  scalar,
  scale,
  softmax,
  split,
  sumAll,
  transpose,
} from '../src/graph/ops/index.js';
import { commonSubexpressions } from '../src/graph/passes/common-subexpressions.js';
import { fewQueries } from '../src/graph/passes/few-queries.js';
import { foldConstants } from '../src/graph/passes/fold-constants.js';
import { foldGelus } from '../src/graph/passes/fold-gelus.js';
import { foldNorms } from '../src/graph/passes/fold-norms.js';
import { hoistScales } from '../src/graph/passes/hoist-scales.js';
import { applyPasses } from '../src/graph/passes/index.js';
import type { Pass } from '../src/graph/passes/pass.js';
import { pushDownSlices } from '../src/graph/passes/push-down-slices.js';
import { reuseProducts } from '../src/graph/passes/reuse-products.js';
import { simplify } from '../src/graph/passes/simplify.js';
import { splitProducts } from '../src/graph/passes/split-products.js';
import { type Node, type Shape, size, type Tensor, topologicalOrder } from '../src/graph/tensor.js';
import { frozen, type Model, trace, values } from './small-models.js';

const [B, T, D, H, M, DEPTH] = [2, 5, 8, 2, 12, 3];
const vit = (method: string, qkvBias = true): Model => ({
  config: {
    family: 'vit',
    imageSize: 4,
    patchSize: 2,
    channels: 3,
    width: D,
    depth: DEPTH,
    heads: H,
    mlpWidth: M,
    qkvBias,
    layerNormEps: 1e-6,
  },
  method,
  dropPath: 0,
});

const inTurn = (outputs: readonly Tensor[], ...passes: Pass[]) =>
  passes.reduce((now, pass) => pass.apply(now), [...outputs]);
const nodesOf = (outputs: readonly Tensor[], op: string, which: (node: Node) => boolean = () => true) =>
  topologicalOrder(outputs).filter((node) => node.op.name === op && which(node));
const count = (outputs: readonly Tensor[], op: string, which?: (node: Node) => boolean) =>
  nodesOf(outputs, op, which).length;
const kinds = (outputs: readonly Tensor[]) => topologicalOrder(outputs).map(({ op }) => op.name);

const x = input('x', [B, T, D]);
const few = input('few', [2, D]);
const numbers = {
  x: values([B, T, D], 1),
  few: values([2, D], 2),
  'w.trained': values([D, D], 4),
  'b.trained': values([D], 5),
};
const trained = parameter('w.trained', [D, D]);
const square = (name: string) => frozen(name, [D, D]);
const row = (name: string) => frozen(name, [D]);

/** The pass makes no other graph of it, and no other numbers. */
function expectUntouched(pass: Pass, ...outputs: Tensor[]) {
  const after = pass.apply(outputs);
  expect(kinds(after).sort()).toEqual(kinds(outputs).sort());
  interpret(after, numbers).forEach((found, i) => {
    expect(found).toEqual(interpret(outputs, numbers)[i]);
  });
}

/** It changes the graph and keeps the numbers. */
function expectRewritten(pass: Pass, ...outputs: Tensor[]): Tensor[] {
  const after = pass.apply(outputs);
  expect(kinds(after)).not.toEqual(kinds(outputs));
  const expected = interpret(outputs, numbers);
  interpret(after, numbers).forEach(({ data }, i) => {
    data.forEach((v, j) => {
      expect(v).toBeCloseTo(expected[i]!.data[j]!, 5);
    });
  });
  return after;
}

describe('push-down-slices', () => {
  it('computes the last block for the class token alone', () => {
    const { logits } = trace(vit('linear'), B);
    const saved = countFlops([logits]) - countFlops(pushDownSlices.apply([logits]));
    // of all tokens but one: MLP, projection, scores and mixture
    expect(saved).toBe(B * (T - 1) * (4 * D * M + 2 * D * D + 4 * T * D));
  });
});

describe('split-products', () => {
  it('leaves no split but that of the class token', () => {
    const { logits } = trace(vit('parallel'), B);
    expect(count([logits], 'split')).toBe(DEPTH + 1);
    const after = splitProducts.apply([logits]);
    expect(count(after, 'split')).toBe(1);
    expect(countFlops(after)).toBe(countFlops([logits]));
  });

  const pieces = (weight: Tensor, bias?: Tensor, axis = 2) =>
    split(linear(x, weight, bias), axis, [2, axis === 2 ? 6 : 3]);
  it('cuts weight and bias', () => {
    expect(count(expectRewritten(splitProducts, ...pieces(square('w'), row('b'))), 'split')).toBe(0);
  });
  it('leaves alone what is trained, cut along another axis, or read as a whole', () => {
    expectUntouched(splitProducts, ...pieces(trained));
    expectUntouched(splitProducts, ...pieces(square('w'), parameter('b.trained', [D])));
    expectUntouched(splitProducts, ...pieces(square('w'), row('b'), 1));
    const whole = linear(x, square('w'));
    expectUntouched(splitProducts, ...split(whole, 2, [2, 6]), sumAll(whole));
    expectUntouched(splitProducts, ...split(whole, 2, [2, 6]), whole);
  });
});

describe('hoist-scales', () => {
  const factors = (outputs: readonly Tensor[]) =>
    nodesOf(outputs, 'mul', ({ inputs }) => inputs.some((t) => t.shape.length === 0)).map(
      ({ outputs: [y] }) => y!.shape,
    );
  it('leaves no factor on the activations of a model', () => {
    const { logits } = trace(vit('parallel'), B);
    const [before] = [splitProducts.apply([logits])];
    const onActivations = (outputs: readonly Tensor[]) => factors(outputs).filter((shape) => shape.length > 2).length;
    expect(onActivations(before)).toBe(2 * DEPTH);
    expect(onActivations(hoistScales.apply(before))).toBe(0);
  });

  const heads = (t: Tensor) => transpose(reshape(t, [B, T, H, D / H]), [0, 2, 1, 3]);
  it('takes a factor to weight and bias, through what only moves numbers', () => {
    const [y] = expectRewritten(hoistScales, scale(heads(linear(x, square('w'), row('b'))), 0.3));
    expect(factors([y!])).toEqual([[D, D], [D]]);
    expectRewritten(hoistScales, mul(scalar(-2), linear(x, trained)));
  });
  it('leaves alone what is read twice, is an output, passes through more than a layout, or has a larger weight', () => {
    const y = linear(x, square('w'));
    expectUntouched(hoistScales, scale(y, 0.3), sumAll(y));
    expectUntouched(hoistScales, scale(heads(y), 0.3), sumAll(heads(y)));
    expectUntouched(hoistScales, scale(y, 0.3), y);
    expectUntouched(hoistScales, add(scale(y, 0.3), y));
    expectUntouched(hoistScales, scale(gelu(y), 0.3));
    expectUntouched(hoistScales, scale(linear(few, trained), 0.3));
  });
  it('scales one product of a weight that two models share', () => {
    const shared = square('w');
    const after = expectRewritten(hoistScales, scale(linear(x, shared), 0.3), linear(gelu(x), shared));
    expect(factors(after)).toEqual([[D, D]]);
  });
});

describe('few-queries', () => {
  const heads = (t: Tensor, rows = T) => transpose(reshape(t, [B, rows, H, D / H]), [0, 2, 1, 3]);
  const q = (R: number) => constant([B, H, R, D / H], values([B, H, R, D / H], 3));
  const p = (R: number) => softmax(constant([B, H, R, T], values([B, H, R, T], 6)));

  it.each([true, false])('leaves the last block no keys and values of all tokens (bias: %s)', (qkvBias) => {
    const { logits } = trace(vit('linear', qkvBias), B);
    const before = inTurn([logits], pushDownSlices, splitProducts);
    const after = fewQueries.apply(before);
    expect(count(before, 'linear') - count(after, 'linear')).toBe(2);
    const tokensTimesSquare = ({ inputs: [t, w] }: Node) => t!.shape[1] === T && `${w!.shape}` === `${D},${D}`;
    expect(count(before, 'linear', tokensTimesSquare) - count(after, 'linear', tokensTimesSquare)).toBe(2);
    // 4BTD² for keys and values and 4BTD for one row of attention go; 4BD² and, in D instead of d numbers, 4BHTD come
    const bias = qkvBias ? 2 * B * D : 0;
    const saved = 4 * B * T * D * D + 4 * B * T * D - (4 * B * D * D + 4 * B * H * T * D + bias);
    expect(countFlops(before) - countFlops(after)).toBe(saved);
  });

  it.each([true, false])('keeps scores and mixtures (bias: %s)', (biased) => {
    const bias = biased ? row('b') : null;
    expectRewritten(fewQueries, matmul(q(2), heads(linear(x, square('w'), bias)), false, true));
    expectRewritten(fewQueries, matmul(p(1), heads(linear(x, square('w'), bias))));
    const notNormalised = constant([B, H, 1, T], values([B, H, 1, T], 8)); // Σ p is not taken for 1
    expectRewritten(fewQueries, matmul(notNormalised, heads(linear(x, square('w'), bias))));
  });

  it('leaves alone many queries, trained weights, and heads that are read elsewhere', () => {
    const keys = () => heads(linear(x, square('w'), row('b')));
    expectUntouched(fewQueries, matmul(q(3), keys(), false, true));
    expectUntouched(fewQueries, matmul(p(3), keys()));
    expectUntouched(fewQueries, matmul(q(1), heads(linear(x, trained)), false, true));
    expectUntouched(fewQueries, matmul(q(1), heads(linear(x, square('w'), parameter('b.trained', [D]))), false, true));
    const both = keys();
    expectUntouched(fewQueries, matmul(q(1), both, false, true), sumAll(both));
    expectUntouched(fewQueries, matmul(q(1), both, false, true), both);
    const product = linear(x, square('w'));
    expectUntouched(fewQueries, matmul(q(1), heads(product), false, true), sumAll(product));
  });
});

describe('fold-constants, fold-norms and fold-gelus', () => {
  it.each([
    // of 2·DEPTH + 1 norms the last is read by the slice or the trained head; adapters keep GELUs of their own
    ['linear', 1, 0],
    ['parallel', 1, DEPTH],
    ['sequential', 1, DEPTH],
    ['full', 2 * DEPTH + 1, DEPTH],
  ])('leaves no norm and no GELU of %s in front of frozen products', (method, norms, gelus) => {
    const { logits } = trace(vit(method), B);
    const after = applyPasses([splitProducts, foldConstants, foldNorms, foldGelus], [logits]);
    expect([count(after, 'layerNorm'), count(after, 'gelu')]).toEqual([norms, gelus]);
    const frozenOnly = ({ inputs }: Node) => inputs.length > 0 && inputs.every((t) => t.node.op.name === 'constant');
    const small = ({ outputs: [y], inputs }: Node) => size(y!.shape) <= Math.max(...inputs.map((t) => size(t.shape)));
    expect(topologicalOrder(after).filter((node) => frozenOnly(node) && small(node))).toEqual([]);
  });

  const norm = (t: Tensor = x) => layerNorm(t, row('gain'), row('shifts'), 1e-6);
  it('takes gain and shift of a norm into every product that reads it', () => {
    const n = norm();
    const after = expectRewritten(foldNorms, linear(n, square('w'), row('b')), linear(n, frozen('other', [3, D])));
    expect(count(after, 'standardise')).toBe(1);
    for (const { inputs } of nodesOf(after, 'linear')) {
      const [weight] = interpret([inputs[1]!], {});
      for (let start = 0; start < weight!.data.length; start += D) {
        const sum = weight!.data.subarray(start, start + D).reduce((a, b) => a + b, 0);
        expect(Math.abs(sum)).toBeLessThan(1e-6); // what the norm's gradient relies on
      }
    }
  });
  it('leaves a norm that anything else reads', () => {
    const n = norm();
    const y = linear(n, square('w'));
    expectUntouched(foldNorms, add(y, n));
    expectUntouched(foldNorms, y, n);
    expectUntouched(foldNorms, y, linear(n, trained));
    expectUntouched(foldNorms, linear(n, square('w'), parameter('b.trained', [D])));
    expectUntouched(foldNorms, linear(layerNorm(x, parameter('b.trained', [D]), row('shifts'), 1e-6), square('w')));
    expectUntouched(foldNorms, y, n.node.outputs[1]!, mul(n.node.outputs[1]!, n.node.outputs[2]!));
  });

  it('takes the constants of chained GELUs into the products around them', () => {
    const first = gelu(linear(x, square('w'), row('b')));
    const second = gelu(linear(first, square('second'), row('b2')));
    const after = expectRewritten(foldGelus, linear(second, square('third'), row('b3')));
    expect([count(after, 'gelu'), count(after, 'scaledGelu')]).toEqual([0, 2]);
  });
  it('leaves a GELU whose products are trained or read elsewhere', () => {
    const h = linear(x, square('w'));
    const g = gelu(h);
    expectUntouched(foldGelus, linear(g, trained));
    expectUntouched(foldGelus, linear(gelu(linear(x, trained)), square('w')));
    expectUntouched(foldGelus, linear(g, square('w2')), sumAll(g));
    expectUntouched(foldGelus, linear(g, square('w2')), g);
    expectUntouched(foldGelus, linear(g, square('w2')), h);
    expectUntouched(foldGelus, add(linear(g, square('w2')), h));
    expectUntouched(foldGelus, gelu(x));
  });

  it('computes what depends on weights alone, but nothing that would grow', () => {
    const after = foldConstants.apply([linear(x, scale(reshape(frozen('w', [D * D]), [D, D]), 3))]);
    expect(kinds(after)).toEqual(['input', 'constant', 'linear']);
    const wide = add(frozen('column', [D, 1]), frozen('line', [1, D]));
    expect(count(foldConstants.apply([wide]), 'add')).toBe(1);
  });
  it('leaves a weight that two models share as it was for the other', () => {
    const shared = square('w');
    const plain = linear(x, shared);
    expectRewritten(foldNorms, linear(norm(), shared), plain);
    expectRewritten(foldGelus, plain, linear(gelu(linear(x, shared)), shared));
  });
});

describe('on the gradients of a model', () => {
  const step = (method: string) => {
    const { logits, parameters } = trace(vit(method), B);
    const loss = sumAll(mul(logits, logits));
    return [loss, ...gradients(loss, parameters)];
  };
  const rowSums = (node: Node) => `${node.inputs[0]!.shape}` === `${B},${H},${T},${T}`;

  it('reuse-products sums no row of attention’s size', () => {
    const before = commonSubexpressions.apply(step('full'));
    expect(count(before, 'reduceSum', rowSums)).toBeGreaterThan(0);
    const after = reuseProducts.apply(before);
    expect(count(after, 'reduceSum', rowSums)).toBe(0);
    expect(count(after, 'matmul')).toBe(count(before, 'matmul'));
  });

  it('common-subexpressions computes nothing twice', () => {
    const before = step('parallel');
    const after = commonSubexpressions.apply(before);
    expect(topologicalOrder(after).length).toBeLessThan(topologicalOrder(before).length);
    expect(commonSubexpressions.apply(after)).toEqual(after);
  });

  it('simplify spreads nothing out that is multiplied anyway', () => {
    const needless = (outputs: readonly Tensor[]) =>
      count(outputs, 'mul', ({ inputs }) => inputs.some((t) => t.node.op.name === 'broadcastTo'));
    const before = step('parallel');
    expect(needless(before)).toBeGreaterThan(0);
    expect(needless(simplify.apply(before))).toBe(0);
  });
});

describe('reuse-products', () => {
  const leaf = (name: string, shape: Shape) => constant(shape, values(shape, name.length));
  const a = leaf('a', [2, 3, 2]);
  const b = leaf('bb', [2, 5, 2]);
  const c = leaf('ccc', [2, 3, 5]);
  const product = matmul(a, b, false, true);
  const twin = matmul(c, b);
  it('takes the sums of rows from the twin, whichever factor comes first', () => {
    for (const terms of [mul(product, c), mul(c, product)]) {
      const after = expectRewritten(reuseProducts, twin, reduceSum(terms, [-1], true));
      expect(count(after, 'matmul')).toBe(1);
    }
  });
  it('leaves alone sums without a twin, over another axis, over two, and those that are shorter already', () => {
    expectUntouched(reuseProducts, reduceSum(mul(product, c), [-1]));
    expectUntouched(reuseProducts, matmul(c, leaf('other', [2, 5, 2])), reduceSum(mul(product, c), [-1]));
    expectUntouched(reuseProducts, twin, reduceSum(mul(product, c), [1]));
    expectUntouched(reuseProducts, twin, sumAll(mul(product, c)));
    const [wideA, wideB] = [leaf('a', [2, 3, 7]), leaf('bb', [2, 5, 7])];
    expectUntouched(reuseProducts, matmul(c, wideB), reduceSum(mul(matmul(wideA, wideB, false, true), c), [-1]));
  });
});

describe('common-subexpressions', () => {
  it('keeps apart what differs in attributes, inputs or the numbers of a constant', () => {
    expectUntouched(commonSubexpressions, reduceSum(x, [0]), reduceSum(x, [1]), reduceSum(x, [1], true));
    expectUntouched(commonSubexpressions, matmul(x, x, false, true), matmul(x, gelu(x), false, true));
    expectUntouched(commonSubexpressions, add(scalar(1), scalar(2)), frozen('a', [3]), frozen('bb', [3]));
    expectUntouched(commonSubexpressions, scalar(Infinity), scalar(-Infinity), scalar(Number.NaN));
  });
});

describe('simplify', () => {
  it('drops factors and sums that do nothing, but not where they broadcast', () => {
    const [one, zero] = [scalar(1), scalar(0)];
    for (const y of [
      mul(x, one),
      mul(one, x),
      add(x, zero),
      add(zero, x),
      neg(neg(x)),
      reshape(reshape(x, [B * T, D]), x.shape),
    ]) {
      const [simple] = simplify.apply([y]);
      expect(simple).toBe(x);
    }
    expect(kinds(expectRewritten(simplify, mul(mul(x, scalar(3)), scalar(-5))))).toEqual(['input', 'constant', 'mul']);
    expect(kinds(expectRewritten(simplify, mul(scalar(-1), x)))).toEqual(['input', 'neg']);
    expectUntouched(simplify, add(constant([1], new Float32Array(1)), scalar(2)));
    expectUntouched(simplify, mul(x, constant([D], new Float32Array(D).fill(1))), neg(x), mul(x, scalar(2)));
  });
});
