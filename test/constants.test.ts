/** What passes stand on: who reads a tensor, the parts of a constant, and where a program's weights are put. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { IdatError } from '../src/errors.js';
import { emit, type WeightSink } from '../src/graph/emit.js';
import { ndarray, zip } from '../src/graph/ndarray.js';
import {
  type ConstantAttrs,
  type ConstantData,
  computedConstant,
  constantValues,
  sliceConstant,
} from '../src/graph/ops/constant.js';
import { add, constant, gelu, input, linear, mul } from '../src/graph/ops/index.js';
import type { Tensor } from '../src/graph/tensor.js';
import { usesIn } from '../src/graph/uses.js';
import { startRuntime } from '../src/runtime/node/start.js';
import { withWeightFile } from '../src/runtime/node/weight-file.js';
import { values } from './small-models.js';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'idat-constants-')));
afterAll(() => rmSync(folder, { recursive: true }));

describe('uses', () => {
  const x = input('x', [2]);
  const y = gelu(x);
  const square = mul(y, y);
  const sum = add(square, y);
  const uses = usesIn([sum, square]);
  it('counts a reader once for each input it reads', () => {
    expect(uses.of(x)).toEqual([y.node]);
    expect(uses.of(y)).toEqual([square.node, square.node, sum.node]);
    expect(uses.of(sum)).toEqual([]);
    expect(usesIn([x]).of(x)).toEqual([]);
  });
  it('knows one reader from several, from none, and from being an output', () => {
    expect(uses.single(x)).toBe(true);
    expect(uses.single(y)).toBe(false);
    expect(usesIn([square]).single(y)).toBe(false); // one node, twice
    expect(uses.single(square)).toBe(false); // one node, but an output
    expect(uses.single(sum)).toBe(false);
    expect(usesIn([sum]).single(square)).toBe(true);
  });
  it('tells whether all readers are of a kind', () => {
    const multiplies = (node: { op: { name: string } }) => node.op.name === 'mul';
    expect(usesIn([square]).only(y, multiplies)).toBe(true);
    expect(uses.only(y, multiplies)).toBe(false);
    expect(usesIn([square, y]).only(y, multiplies)).toBe(false);
    expect(uses.only(sum, () => true)).toBe(false); // nobody reads it
  });
  it('does not see readers that lead to no output', () => {
    expect(usesIn([y]).of(y)).toEqual([]);
  });
});

describe('zip with a single number', () => {
  const minus = (a: number, b: number) => a - b;
  it.each([
    ['a scalar', []],
    ['one row of one', [1, 1]],
  ])('of %s on the right keeps sides and shape', (_what, shape) => {
    const { shape: found, data } = zip(ndarray([2, 2], [1, 2, 3, 4]), ndarray(shape, [10]), minus);
    expect([found, [...data]]).toEqual([
      [2, 2],
      [-9, -8, -7, -6],
    ]);
  });
  it('on the left keeps sides, and more axes than the other has are kept', () => {
    expect([...zip(ndarray([], [10]), ndarray([2], [1, 2]), minus).data]).toEqual([9, 8]);
    expect(zip(ndarray([2], [1, 2]), ndarray([1, 1], [10]), minus)).toEqual(ndarray([1, 2], [-9, -8]));
  });
});

/** The same numbers, [6, 4], in each form a constant has. */
const numbers = values([6, 4], 3);
const path = join(folder, 'weights.bin');
// behind 16 bytes that are not theirs
writeFileSync(path, Buffer.concat([new Uint8Array(16), new Uint8Array(numbers.buffer)]));
const forms: Record<string, ConstantData> = {
  memory: { kind: 'memory', values: numbers },
  computed: { kind: 'computed', dtype: 'float32', load: () => numbers },
  file: {
    kind: 'file',
    path,
    offset: 16,
    load: (first = 0, count = numbers.length - first) =>
      Float32Array.from({ length: count }, (_, i) => readFileSync(path).readFloatLE(16 + 4 * (first + i))),
  },
};

describe.each(Object.entries(forms))('the rows of a constant (%s)', (kind, data) => {
  const whole = constant([6, 4], data);
  it('are those rows, whether it is cut once or twice, and of the same kind', () => {
    const cut = sliceConstant(whole, 1, 5);
    expect([cut.shape, constantValues(cut)]).toEqual([[4, 4], numbers.slice(4, 20)]);
    const again = sliceConstant(cut, 1, 3);
    expect([again.shape, constantValues(again)]).toEqual([[2, 4], numbers.slice(8, 16)]);
    expect((again.node.attrs as ConstantAttrs).data.kind).toBe(kind);
  });
  it('of a vector are its numbers', () => {
    const vector = constant([24], data);
    expect(constantValues(sliceConstant(vector, 5, 7))).toEqual(numbers.slice(5, 7));
  });
  it('are read by the runtime from where they lie', async () => {
    const runtime = await startRuntime({ device: 'cpu', threads: 1 });
    const pieces = [sliceConstant(whole, 0, 2), sliceConstant(sliceConstant(whole, 1, 6), 1, 4)];
    const x = input('x', [1, 4]);
    const program = emit(Object.fromEntries(pieces.map((w, i) => [`y${i}`, linear(x, w)])));
    expect(program.files.map((file) => file.path)).toEqual(kind === 'file' ? [path] : []);
    const session = await runtime.load(() => program);
    for (let column = 0; column < 4; column++) {
      const found = await session.run({ x: Float32Array.from({ length: 4 }, (_, i) => Number(i === column)) });
      const expected = (rows: number[]) => Float32Array.from(rows, (row) => numbers[4 * row + column]!);
      expect(found).toEqual({ y0: expected([0, 1]), y1: expected([2, 3, 4]) });
    }
    await runtime.close();
  });
});

describe('emitting with a place for weights', () => {
  const side = 512; // 512·512 float32 are 1 MiB
  const large = (salt: number) => values([side, side], salt);
  const x = input('x', [1, side]);
  const weights = (): Tensor[] => [
    constant([side, side], large(1)),
    computedConstant([side, side], () => large(2)),
    computedConstant([side - 1, side], () => large(3).subarray(side)),
  ];
  const products = () =>
    Object.fromEntries(
      weights()
        .slice(0, 3)
        .map((w, i) => [`y${i}`, linear(x, w)]),
    );

  it('puts large constants there, one after the other, and keeps small ones', () => {
    const written: Uint8Array[] = [];
    const sink: WeightSink = {
      path: '/somewhere/weights.bin',
      append: (bytes) => written.push(bytes.slice()) * 2 ** 24,
    };
    const program = emit(products(), sink);
    expect(written.length).toBe(2);
    written.forEach((bytes, i) => {
      expect(Buffer.from(large(i + 1).buffer).equals(bytes)).toBe(true);
    });
    expect(program.files.map((file) => file.path)).toEqual(['/somewhere/weights.bin']);
    expect(program.model.length).toBeGreaterThan(4 * (side - 1) * side);
    expect(program.model.length).toBeLessThan(4 * side * side + 4096);
  });

  it('gives what it gives without one', async () => {
    const runtime = await startRuntime({ device: 'cpu', threads: 1 });
    const feeds = { x: values([side], 7) };
    const session = await runtime.load(() => emit(products()));
    const expected = await session.run(feeds);
    const loaded = await withWeightFile(async (sink) => {
      const program = emit(products(), sink);
      expect(program.model.length).toBeLessThan(2 ** 20 + 4096);
      return runtime.load(() => program);
    });
    const found = await loaded.run(feeds);
    expect(Object.values(found).map((y) => [...y])).toEqual(Object.values(expected).map((y) => [...y])); // the file is gone by now
    await runtime.close();
  });
});

describe('a weight file', () => {
  afterEach(() => vi.unstubAllEnvs());

  it('keeps each piece at a multiple of 4096', async () => {
    const pieces = [1, 4096, 4097, 5].map((length, i) => new Uint8Array(length).fill(i + 1));
    await withWeightFile(async ({ path: own, append }) => {
      const offsets = pieces.map((piece) => append(piece));
      expect(offsets).toEqual([0, 4096, 8192, 16384]);
      const bytes = readFileSync(own);
      offsets.forEach((offset, i) => {
        expect(bytes.subarray(offset, offset + pieces[i]!.length).equals(pieces[i]!)).toBe(true);
      });
      expect(bytes.length).toBe(16384 + 5);
    });
  });

  it('is removed with its folder in the end, after a failure as well', async () => {
    vi.stubEnv('TMPDIR', folder);
    const before = readdirSync(folder);
    let seen = '';
    const use = async ({ path: own, append }: WeightSink) => {
      seen = own;
      append(Uint8Array.of(1, 2, 3));
      expect(dirname(dirname(own))).toBe(folder);
      return 7;
    };
    expect(await withWeightFile(use)).toBe(7);
    expect(existsSync(seen)).toBe(false);
    const failing = withWeightFile(async (sink) => {
      await use(sink);
      throw new Error('the graph does not load');
    });
    await expect(failing).rejects.toThrow('the graph does not load');
    expect(readdirSync(folder)).toEqual(before);
  });

  it.each([
    ['does not exist', 'missing', 'ENOENT'],
    ['is a file', 'weights.bin', 'ENOTDIR'],
  ])('says what to do where the temporary folder %s', async (_what, name, code) => {
    const place = join(folder, name);
    vi.stubEnv('TMPDIR', place);
    const error = await withWeightFile(async () => 0).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(IdatError);
    expect(error).toMatchObject({
      code: 'runtime.weights',
      message: `${place}: cannot keep folded weights here (${code}); free some space or set TMPDIR to another folder`,
    });
  });
});
