/** The compiler's passes and its ONNX output. */
import { fromBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema } from 'onnx-buf';
import { describe, expect, it } from 'vitest';
import { activationBytes, countFlops } from '../src/graph/cost.js';
import { gradients } from '../src/graph/differentiate.js';
import { emit } from '../src/graph/emit.js';
import { interpret } from '../src/graph/interpret.js';
import { labelIn, nodeName } from '../src/graph/label.js';
import {
  add,
  constant,
  gelu,
  input,
  layerNorm,
  linear,
  matmul,
  mul,
  parameter,
  reshape,
  scalar,
  sign,
  slice,
  softmax,
  stopGradient,
  sumAll,
  transpose,
} from '../src/graph/ops/index.js';
import { layout, packGradients, parametersOf, unpackParameters } from '../src/graph/pack.js';
import { commonSubexpressions } from '../src/graph/passes/common-subexpressions.js';
import { pushDownSlices } from '../src/graph/passes/push-down-slices.js';
import { simplify } from '../src/graph/passes/simplify.js';
import { type Label, size, type Tensor, topologicalOrder, within } from '../src/graph/tensor.js';

const count = (...outputs: Tensor[]) => topologicalOrder(outputs).length;

describe('gradients', () => {
  it('add up where a tensor is used twice', () => {
    const x = input('x', [2]);
    const [dx] = gradients(sumAll(add(mul(x, x), x)), [x]);
    expect([...interpret([dx!], { x: [3, -1] })[0]!.data]).toEqual([7, -1]);
  });

  it('are zero for what the loss does not depend on, and through stopGradient', () => {
    const x = input('x', [2]);
    const [dx, dy] = gradients(sumAll(mul(x, stopGradient(x))), [x, input('y', [3])]);
    const [a, b] = interpret([dx!, dy!], { x: [3, -1] });
    expect([...a!.data]).toEqual([3, -1]);
    expect([...b!.data]).toEqual([0, 0, 0]);
  });

  it('do not reach below the first trainable tensor', () => {
    const w = parameter('w', [2, 2]);
    const image = input('image', [1, 2]);
    const frozen = softmax(linear(gelu(image), constant([2, 2], Float32Array.of(1, 2, 3, 4))));
    const loss = sumAll(linear(frozen, w));
    const forward = new Set(topologicalOrder([loss]));
    const backward = topologicalOrder(gradients(loss, [w])).filter((node) => !forward.has(node));
    expect(backward.map((node) => node.op.name)).not.toContain('erf');
    expect(backward.map((node) => node.op.name)).not.toContain('softmax');
  });

  it('refuse a loss that is no scalar', () => {
    const x = input('x', [2]);
    expect(() => gradients(x, [x])).toThrow('a loss must be a scalar to be differentiated, got shape [2]');
  });

  it('pass no number through sign', () => {
    const x = input('x', [2]);
    expect([...interpret(gradients(sumAll(sign(x)), [x]), { x: [3, -1] })[0]!.data]).toEqual([0, 0]);
  });
});

describe('passes', () => {
  it('compute equal things once', () => {
    const x = input('x', [2, 2]);
    const twice = add(matmul(softmax(x), x), matmul(softmax(x), x));
    const [once] = commonSubexpressions.apply([twice]);
    expect(count(twice)).toBe(6);
    expect(count(once!)).toBe(4);
    const values = { x: [1, 2, 3, 4] };
    expect(interpret([once!], values)).toEqual(interpret([twice], values));
  });

  it('keep different constants apart', () => {
    const sum = add(scalar(1), scalar(2));
    expect(interpret(commonSubexpressions.apply([sum]), {})[0]!.data[0]).toBe(3);
  });

  it('drop factors of 1 and chained reshapes, and keep the value', () => {
    const x = input('x', [2, 3]);
    const y = mul(reshape(reshape(mul(mul(x, scalar(1)), scalar(2)), [6]), [3, 2]), scalar(-1));
    const [simple] = simplify.apply([y]);
    expect(count(simple!)).toBeLessThan(count(y));
    const values = { x: [1, 2, 3, 4, 5, 6] };
    expect(interpret([simple!], values)[0]!.data).toEqual(interpret([y], values)[0]!.data);
  });

  it('compute only the rows that are read, with the same values', () => {
    const x = input('x', [2, 5, 4]);
    const w = (rows: number, columns: number) =>
      constant(
        [rows, columns],
        Float32Array.from({ length: rows * columns }, (_, i) => Math.cos(i)),
      );
    const heads = (t: Tensor) => transpose(reshape(t, [2, 5, 2, 2]), [0, 2, 1, 3]);
    const attention = matmul(softmax(matmul(heads(x), heads(x), false, true)), heads(linear(x, w(4, 4))));
    const middle = add(x, linear(reshape(transpose(attention, [0, 2, 1, 3]), [2, 5, 4]), w(4, 4)));
    const normal = layerNorm(
      middle,
      constant([4], new Float32Array(4).fill(2)),
      constant([4], new Float32Array(4)),
      1e-6,
    );
    const y = slice(add(middle, linear(gelu(linear(normal, w(8, 4))), w(4, 8))), 1, 0, 1);
    const [pushed] = pushDownSlices.apply([y]);
    const values = { x: Float32Array.from({ length: 40 }, (_, i) => Math.sin(i)) };
    const before = interpret([y], values)[0]!;
    const after = interpret([pushed!], values)[0]!;
    expect(after.shape).toEqual(before.shape);
    expect([...after.data]).toEqual([...before.data]);
    const largest = (name: string, t: Tensor) =>
      Math.max(
        ...topologicalOrder([t])
          .filter((n) => n.op.name === name)
          .map((n) => size(n.outputs[0]!.shape)),
      );
    expect(largest('gelu', y)).toBe(2 * 5 * 8);
    expect(largest('gelu', pushed!)).toBe(2 * 1 * 8);
    expect(largest('softmax', pushed!)).toBe(2 * 2 * 1 * 5);
  });

  it('leave whole what is also read elsewhere, or in two different parts', () => {
    const x = input('x', [2, 3, 4]);
    const y = gelu(x);
    const first = slice(y, 1, 0, 1);
    const values = { x: Float32Array.from({ length: 24 }, (_, i) => Math.sin(i)) };
    for (const read of [[first, sumAll(y)], [first, slice(y, 1, 2, 3)], [mul(first, first)]]) {
      const before = interpret(read, values);
      interpret(pushDownSlices.apply(read), values).forEach((after, i) => {
        expect(after).toEqual(before[i]);
      });
    }
  });

  it('turn parameters into slices of one vector, and gradients into one', () => {
    const a = parameter('a', [2, 2]);
    const b = parameter('b', [2]);
    const x = input('x', [1, 2]);
    const loss = sumAll(linear(x, a, b));
    const parameters = parametersOf([loss]);
    const packed = packGradients(gradients(loss, parameters));
    const graph = unpackParameters({ loss, gradient: packed }, [{ inputName: 'vector', parameters }]);
    const [l, g] = interpret([graph.loss!, graph.gradient!], { x: [2, 3], vector: [1, 0, 0, 1, 10, 20] });
    expect(l!.data[0]).toBe(35);
    expect([...g!.data]).toEqual([2, 3, 2, 3, 1, 1]);
    expect(
      layout([
        { name: 'a', shape: [2, 2] },
        { name: 'b', shape: [2] },
      ]).map((s) => s.offset),
    ).toEqual([0, 4]);
  });
});

describe('flops', () => {
  it('are two for each multiplication and addition of a matrix product', () => {
    const x = input('x', [3, 4, 5]);
    const w = constant([7, 5], new Float32Array(35));
    expect(countFlops([linear(x, w)])).toBe(2 * 3 * 4 * 5 * 7);
    expect(countFlops([matmul(x, input('y', [1, 5, 6]))])).toBe(2 * 3 * 4 * 5 * 6);
    expect(countFlops([matmul(x, input('y', [3, 4, 6]), true, false)])).toBe(2 * 3 * 5 * 4 * 6);
    expect(countFlops([matmul(x, x, false, true)])).toBe(2 * 3 * 4 * 5 * 4);
    expect(countFlops([gelu(x)])).toBe(0);
  });

  it('of a dense layer’s gradients are as many again for each operand that has one', () => {
    const x = input('x', [3, 5]);
    const w = parameter('w', [7, 5]);
    const loss = sumAll(linear(x, w));
    expect(countFlops(gradients(loss, [w]))).toBe(2 * 3 * 5 * 7);
    expect(countFlops([loss, ...gradients(loss, [x, w])])).toBe(3 * 2 * 3 * 5 * 7);
    expect(emit({ y: linear(x, constant([2, 5], new Float32Array(10))) }).flops).toBe(2 * 3 * 5 * 2);
  });
});

it('the bytes a graph makes are those of its tensors but for constants', () => {
  const x = input('x', [3, 5]);
  const y = linear(x, constant([2, 5], new Float32Array(10)));
  expect(activationBytes([y, input('labels', [7], 'int64')])).toBe(4 * (3 * 5 + 3 * 2) + 8 * 7);
});

describe('labels', () => {
  const x = input('x', [2, 2]);
  const hidden = within({ role: 'student', part: 'backbones.mlp' }, () =>
    within({ part: 'methods.parallel' }, () => gelu(mul(mul(x, scalar(2)), scalar(3)))),
  );
  const labelsOf = (t: Tensor) => topologicalOrder([t]).map(({ op, label }) => [op.name, label] as const);
  const labelOf = (t: Tensor, op: string) => labelsOf(t).find(([name]) => name === op)?.[1];
  const method: Label = { role: 'student', part: 'methods.parallel' };

  it('are the innermost ones, field by field', () => {
    expect(labelOf(hidden, 'gelu')).toEqual(method);
    expect(labelOf(gelu(x), 'gelu')).toEqual({});
  });

  it('pass to gradients, and to what replaces a node', () => {
    const [dx] = gradients(sumAll(hidden), [x]);
    expect(labelOf(dx!, 'erf')).toEqual({ ...method, backward: true });
    const [simple] = simplify.apply([hidden]);
    expect(labelsOf(simple!).filter(([op]) => op === 'mul')).toEqual([['mul', method]]);
    const [pushed] = pushDownSlices.apply([slice(hidden, 0, 0, 1)]);
    expect(labelOf(pushed!, 'gelu')).toEqual(method);
  });

  it('do not keep equal things apart', () => {
    const elsewhere = within({ role: 'teacher' }, () => gelu(x));
    expect(count(...commonSubexpressions.apply([gelu(x), elsewhere]))).toBe(2);
  });

  it('stand in the names of ONNX nodes, in front of what the runtime adds', () => {
    const { model } = emit({ y: hidden });
    const names = fromBinary(ModelProtoSchema, model).graph?.node?.map(({ name }) => name!) ?? [];
    expect(names).toHaveLength(4);
    for (const name of names) {
      expect(name).toMatch(/^student\/methods\.parallel\/forward:/);
      expect(labelIn(`${name}/MatMulScaleFusion/`)).toEqual({ ...method, backward: false });
    }
    expect(labelIn(nodeName({ part: 'train.head', backward: true }, 'linear_1'))).toEqual({
      part: 'train.head',
      backward: true,
    });
    expect(labelIn(nodeName({}, 'linear_1'))).toBe(null);
  });
});

describe('emission', () => {
  const x = input('images', [1, 2]);
  const weight = constant([3, 2], {
    kind: 'file',
    path: '/models/w.safetensors',
    offset: 1234,
    load: () => new Float32Array(6),
  });
  const program = emit({ y: linear(x, weight, constant([3], Float32Array.of(1, 2, 3))) });
  const model = fromBinary(ModelProtoSchema, program.model);

  it('is an ONNX model that another library reads', () => {
    expect(model.opsetImport[0]?.version?.toString()).toBe('20');
    expect(model.graph?.node?.map((n) => n.opType)).toEqual(['Gemm', 'Identity']);
    expect(model.graph?.input?.map((v) => v.name)).toEqual(['images']);
    expect(model.graph?.output?.map((v) => v.name)).toEqual(['y']);
  });

  it('refers to weights in their file instead of copying them', () => {
    const external = model.graph?.initializer?.find((t) => t.externalData?.length);
    expect(Object.fromEntries(external!.externalData!.map((e) => [e.key, e.value]))).toEqual({
      location: 'models/w.safetensors',
      offset: '1234',
      length: '24',
    });
    expect(program.files).toEqual([{ location: 'models/w.safetensors', path: '/models/w.safetensors' }]);
  });

  it('gives the same bytes for the same graph', () => {
    const again = emit({ y: linear(x, weight, constant([3], Float32Array.of(1, 2, 3))) });
    expect(Buffer.from(again.model).equals(Buffer.from(program.model))).toBe(true);
  });
});
