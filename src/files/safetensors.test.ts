import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { IdatError } from '../errors.js';
import { openSafetensors } from './node/safetensors-file.js';
import {
  decodeTensor,
  encodeSafetensors,
  parseSafetensorsHeader,
  type SafetensorsFile,
  type TensorSource,
  toFloat32,
} from './safetensors.js';

const folder = mkdtempSync(join(tmpdir(), 'idat-safetensors-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A file with this header text; its length field says the truth unless told otherwise. */
function fileOf(header: string | Uint8Array, dataBytes = 0, headerLength?: bigint): Uint8Array {
  const text = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const file = new Uint8Array(8 + text.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, headerLength ?? BigInt(text.length), true);
  file.set(text, 8);
  return file;
}

function parse(file: Uint8Array, fileSize = file.length): SafetensorsFile {
  return parseSafetensorsHeader(file, fileSize, 'x.safetensors');
}

function valuesOf(bytes: Uint8Array, file: SafetensorsFile, name: string) {
  const { offset, byteLength, dtype } = file.tensors.get(name)!;
  return decodeTensor(bytes.subarray(offset, offset + byteLength), dtype);
}

async function errorOf(action: () => unknown): Promise<IdatError> {
  try {
    await action();
  } catch (error) {
    expect(error).toBeInstanceOf(IdatError);
    return error as IdatError;
  }
  throw new Error('expected an IdatError');
}

/*
 * Both fixtures were written by Python's safetensors 0.8.0 (numpy 2.4.6, ml_dtypes 0.6.0):
 *
 *   tensors = {
 *     'f64': np.array([[1/3, -2.5], [1e300, 0]]),
 *     'f32': np.array([1/3, -0.0, np.inf], np.float32),
 *     'f16': np.array([1/3, 65504, 6e-8, -0.0, -np.inf, 1e-5], np.float16),
 *     'i64': np.array([-2**53 - 1, 2**62]),
 *     'i32': np.array([[-2147483648, 7]], np.int32),
 *     'i16': np.array([-32768, 5], np.int16),
 *     'i8': np.array([-128, 127, 1], np.int8),
 *     'u8': np.array([0, 255, 1, 2, 3], np.uint8),
 *     'bool': np.array([True, False, True]),
 *     'scalar': np.array(2.5, np.float32),
 *     'empty': np.zeros((0, 4), np.float32),
 *     'bf16': np.array([1/3, 3e38, -0.0], ml_dtypes.bfloat16),
 *   }
 *   open('official-all-types.safetensors', 'wb').write(save(tensors, {'writer': 'safetensors 0.8.0'}))
 *   kept = {name: tensors[name] for name in ['f64', 'f32', 'i64', 'i32', 'u8', 'scalar', 'empty']} \
 *     | {'größe/1': np.array([4, 5], np.int32), '7': np.array([9], np.uint8)}
 *   open('official-written.safetensors', 'wb').write(save(kept, {'writer': 'safetensors 0.8.0 "quoted" ü'}))
 */
describe('files of the official library', () => {
  it('reads every type', () => {
    const bytes = readFileSync('test/fixtures/official-all-types.safetensors');
    const file = parse(bytes);
    const values = Object.fromEntries([...file.tensors.keys()].map((name) => [name, valuesOf(bytes, file, name)]));
    expect(values).toEqual({
      f64: Float64Array.of(1 / 3, -2.5, 1e300, 0),
      f32: Float32Array.of(1 / 3, -0, Infinity),
      f16: Float32Array.of(0.333251953125, 65504, 2 ** -24, -0, -Infinity, 168 * 2 ** -24),
      i64: BigInt64Array.of(-(2n ** 53n) - 1n, 2n ** 62n),
      i32: Int32Array.of(-2147483648, 7),
      i16: Int16Array.of(-32768, 5),
      i8: Int8Array.of(-128, 127, 1),
      u8: Uint8Array.of(0, 255, 1, 2, 3),
      bool: Uint8Array.of(1, 0, 1),
      scalar: Float32Array.of(2.5),
      empty: new Float32Array(0),
      bf16: Float32Array.of(0.333984375, 226 * 2 ** 120, -0),
    });
    expect(file.tensors.get('f64')!.shape).toEqual([2, 2]);
    expect(file.tensors.get('scalar')!.shape).toEqual([]);
    expect(file.tensors.get('empty')!.shape).toEqual([0, 4]);
    expect({ ...file.metadata }).toEqual({ writer: 'safetensors 0.8.0' });
  });

  it('writes the same bytes, in whatever order the tensors come', () => {
    const tensors: TensorSource[] = [
      { name: '7', shape: [1], data: Uint8Array.of(9) },
      { name: 'empty', shape: [0, 4], data: new Float32Array(0) },
      { name: 'scalar', shape: [], data: Float32Array.of(0, 2.5).subarray(1) },
      { name: 'größe/1', shape: [2], data: Int32Array.of(4, 5) },
      { name: 'u8', shape: [5], data: Uint8Array.of(0, 255, 1, 2, 3) },
      { name: 'i32', shape: [1, 2], data: Int32Array.of(-2147483648, 7) },
      { name: 'i64', shape: [2], data: BigInt64Array.of(-(2n ** 53n) - 1n, 2n ** 62n) },
      { name: 'f32', shape: [3], data: Float32Array.of(1 / 3, -0, Infinity) },
      { name: 'f64', shape: [2, 2], data: Float64Array.of(1 / 3, -2.5, 1e300, 0) },
    ];
    const metadata = { writer: 'safetensors 0.8.0 "quoted" ü' };
    const official = new Uint8Array(readFileSync('test/fixtures/official-written.safetensors'));
    expect(encodeSafetensors(tensors, metadata)).toEqual(official);
    expect(encodeSafetensors(tensors.reverse(), metadata)).toEqual(official);
  });
});

describe('files of the project', () => {
  const folders = ['../shared/models', '../shared/reference', '../shared/reference/models'];
  const absent = folders.every(existsSync) ? '' : ' (skipped: ../shared is absent)';

  it.skipIf(absent)(`reads every tensor of every file, all finite${absent}`, async () => {
    const paths = folders.flatMap((name) =>
      readdirSync(name)
        .filter((file) => file.endsWith('.safetensors'))
        .map((file) => join(name, file)),
    );
    expect(paths.length).toBeGreaterThanOrEqual(10);
    for (const path of paths) {
      const open = await openSafetensors(path);
      expect(open.file.tensors.size, path).toBeGreaterThan(0);
      for (const { name, shape } of open.file.tensors.values()) {
        const { data } = await open.read(name);
        expect(data.length).toBe(shape.reduce((size, extent) => size * extent, 1));
        if (data instanceof Float32Array) expect(data.every(Number.isFinite), `${path}: ${name}`).toBe(true);
      }
      await open.close();
    }
  });

  it.skipIf(absent)(`reads known metadata and shapes${absent}`, async () => {
    const { file, close } = await openSafetensors('../shared/models/vit_nano_patch4_32.cifar10.safetensors');
    await close();
    expect(file.metadata.architecture).toBe('vit_nano_patch4_32');
    expect(file.tensors.get('pos_embed')).toMatchObject({ dtype: 'F32', shape: [1, 65, 64], byteLength: 16640 });
  });
});

describe('conversions', () => {
  it('widens all 65,536 float16 numbers exactly, at an odd address', () => {
    const bytes = new Uint8Array(1 + 2 * 65536);
    for (let bits = 0; bits < 65536; bits++) new DataView(bytes.buffer).setUint16(1 + 2 * bits, bits, true);
    const values = toFloat32(bytes.subarray(1), 'F16');
    for (let bits = 0; bits < 65536; bits++) {
      const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
      let expected = sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
      if (exponent === 31) expected = fraction ? Number.NaN : sign * Infinity;
      if (!Object.is(values[bits], expected)) expect.fail(`${bits}: ${values[bits]}, expected ${expected}`);
    }
  });

  it('reads the other types at odd addresses too, and rounds F64', () => {
    const odd = (source: Float64Array | Float32Array | BigInt64Array) => {
      const bytes = new Uint8Array(source.byteLength + 3);
      bytes.set(new Uint8Array(source.buffer), 3);
      return bytes.subarray(3);
    };
    expect(toFloat32(odd(Float64Array.of(0.1, -1e-3)), 'F64')).toEqual(Float32Array.of(0.1, -1e-3));
    expect(toFloat32(odd(Float32Array.of(0.1, -0)), 'F32')).toEqual(Float32Array.of(0.1, -0));
    expect(decodeTensor(odd(BigInt64Array.of(-5n)), 'I64')).toEqual(BigInt64Array.of(-5n));
    expect(toFloat32(Uint8Array.of(0, 0x80, 0x3f, 0xc0, 0xff).subarray(1), 'BF16')).toEqual(
      new Float32Array(Uint32Array.of(0x3f800000, 0xffc00000).buffer),
    );
  });

  it('returns copies', () => {
    const bytes = new Uint8Array(8);
    decodeTensor(bytes, 'F32').fill(1 as never);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
  });
});

describe('encodeSafetensors', () => {
  it('is undone by reading, for any names, shapes and values', () => {
    const name = fc.string({ unit: 'grapheme', maxLength: 12 }).filter((text) => text !== '__metadata__');
    const data = fc.oneof(
      fc.float32Array({ maxLength: 6 }),
      fc.float64Array({ maxLength: 6 }),
      fc.int32Array({ maxLength: 6 }),
      fc.uint8Array({ maxLength: 6 }),
      fc.bigInt64Array({ maxLength: 6 }),
    );
    const names = fc.oneof(name, fc.constantFrom('__proto__', 'constructor', '0', '1', ''));
    const tensors = fc.uniqueArray(fc.record({ name: names, data }), {
      selector: (tensor) => tensor.name,
      maxLength: 8,
    });
    const metadata = fc.dictionary(names, fc.string({ unit: 'grapheme' }));
    fc.assert(
      fc.property(tensors, metadata, (sources, pairs) => {
        const bytes = encodeSafetensors(
          sources.map((source) => ({ ...source, shape: [1, source.data.length] })),
          pairs,
        );
        const file = parse(bytes);
        expect(file.tensors.size).toBe(sources.length);
        expect(Object.entries(file.metadata).sort()).toEqual(Object.entries(pairs).sort());
        for (const source of sources) {
          expect(valuesOf(bytes, file, source.name)).toEqual(source.data);
          expect(file.tensors.get(source.name)).toMatchObject({ name: source.name, shape: [1, source.data.length] });
          expect(file.tensors.get(source.name)!.offset % source.data.BYTES_PER_ELEMENT).toBe(0);
        }
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  it.each<[string, TensorSource[]]>([
    [
      'the same name twice',
      [
        { name: 'a', shape: [1], data: new Uint8Array(1) },
        { name: 'a', shape: [1], data: new Float32Array(1) },
      ],
    ],
    ['the reserved name', [{ name: '__metadata__', shape: [1], data: new Uint8Array(1) }]],
    ['a shape of another size', [{ name: 'a', shape: [2, 3], data: new Float32Array(5) }]],
    ['a negative shape', [{ name: 'a', shape: [-1, -1], data: new Float32Array(1) }]],
    ['half a character', [{ name: 'a\ud800', shape: [1], data: new Float32Array(1) }]],
  ])('refuses %s', async (_, tensors) => {
    expect((await errorOf(() => encodeSafetensors(tensors))).code).toBe('files.safetensors.encode');
  });
});

describe('parseSafetensorsHeader refuses', () => {
  const tensor = (fields: string) => `{"w":{${fields}}}`;
  const header = '{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}';
  const two = (first: string, second: string) =>
    `{"a":{"dtype":"U8","shape":[4],"data_offsets":[${first}]},"b":{"dtype":"U8","shape":[4],"data_offsets":[${second}]}}`;

  it.each<[string, Uint8Array, string, RegExp]>([
    ['an empty file', new Uint8Array(0), 'truncated', /the file is empty: download/],
    ['a few bytes', new Uint8Array(5), 'truncated', /5 of 10 bytes/],
    ['a web page', new TextEncoder().encode('<!DOCTYPE html><html>'), 'format', /starts with "<!DOCTYPE html><"/],
    [
      'a Git LFS pointer',
      new TextEncoder().encode('version https://git-lfs.github.com/spec/v1'),
      'format',
      /git lfs pull/,
    ],
    ['a header that is no object', fileOf('[]'), 'format', /not a safetensors file/],
    [
      'a header longer than the file',
      fileOf(header, 8, 1234n),
      'truncated',
      /\(70 of 1,242 bytes for the header alone\)/,
    ],
    ['a header longer than 100 MB', fileOf(header, 8, 2n ** 64n - 1n), 'header', /18,446,744,073,709,551,615 bytes/],
    ['broken JSON', fileOf('{"w":}'), 'header', /not valid JSON/],
    ['broken UTF-8', fileOf(Uint8Array.of(0x7b, 0xff, 0x7d)), 'header', /not valid UTF-8/],
    ['deep nesting', fileOf(`{"a":${'['.repeat(100_000)}`), 'header', /deeper than 3 levels/],
    [
      'a tensor twice',
      fileOf(`${header.slice(0, -1)},"\\u0077" : 1}`, 8),
      'duplicate',
      /the header has the name w twice/,
    ],
    [
      'a field twice',
      fileOf(tensor('"dtype":"F32","dtype":"I32","shape":[2],"data_offsets":[0,8]'), 8),
      'duplicate',
      /the name dtype twice/,
    ],
    ['metadata that is no object', fileOf('{"__metadata__":[]}'), 'header', /__metadata__ must be an object/],
    [
      'metadata that is no text',
      fileOf('{"__metadata__":{"a":1}}'),
      'header',
      /__metadata__\.a must be a string, got 1/,
    ],
    ['an entry that is no object', fileOf('{"w":null}'), 'tensor', /tensor w must be an object.*got null/],
    [
      'an entry named __proto__',
      fileOf('{"__proto__":{"dtype":"F32"}}'),
      'tensor',
      /tensor __proto__ must have a shape/,
    ],
    ['fields only by inheritance', fileOf('{"w":{"__proto__":{"dtype":"F32"}}}', 8), 'tensor', /has the type nothing/],
    [
      'an unknown type',
      fileOf(tensor('"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]'), 2),
      'tensor',
      /has the type "F8_E4M3", idat reads F64/,
    ],
    [
      'a type by inheritance',
      fileOf(tensor('"dtype":"toString","shape":[2],"data_offsets":[0,2]'), 2),
      'tensor',
      /has the type "toString"/,
    ],
    ['no shape', fileOf(tensor('"dtype":"F32","data_offsets":[0,8]'), 8), 'tensor', /got nothing/],
    [
      'a negative shape',
      fileOf(tensor('"dtype":"F32","shape":[-1,-2],"data_offsets":[0,8]'), 8),
      'tensor',
      /got \[-1, -2\]/,
    ],
    [
      'a shape of -0',
      fileOf(tensor('"dtype":"F32","shape":[-0],"data_offsets":[0,0]')),
      'tensor',
      /shape of whole numbers/,
    ],
    [
      'a fractional shape',
      fileOf(tensor('"dtype":"F32","shape":[2.5],"data_offsets":[0,10]'), 10),
      'tensor',
      /got \[2.5\]/,
    ],
    [
      'an unsafe shape',
      fileOf(tensor('"dtype":"F32","shape":[9007199254740993],"data_offsets":[0,8]'), 8),
      'tensor',
      /shape of whole/,
    ],
    [
      'an overflowing shape',
      fileOf(tensor('"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]')),
      'tensor',
      /more than 2\^53/,
    ],
    ['one offset', fileOf(tensor('"dtype":"F32","shape":[2],"data_offsets":[8]'), 8), 'tensor', /got \[8\]/],
    [
      'offsets in reverse',
      fileOf(tensor('"dtype":"F32","shape":[2],"data_offsets":[8,0]'), 8),
      'tensor',
      /got \[8, 0\]/,
    ],
    [
      'a size unlike the shape',
      fileOf(tensor('"dtype":"F32","shape":[3],"data_offsets":[0,8]'), 8),
      'tensor',
      /needs 12 bytes, its data_offsets give 8/,
    ],
    ['half a character', fileOf('{"\\ud800":{}}'), 'tensor', /lone surrogate/],
    [
      'overlap',
      fileOf(two('0,4', '3,7'), 7),
      'layout',
      /tensor b must begin where tensor a ends, it begins 1 byte earlier/,
    ],
    ['the same place twice', fileOf(two('0,4', '0,4'), 4), 'layout', /overlap/],
    ['a hole', fileOf(two('0,4', '5,9'), 9), 'layout', /1 byte later \(a hole\)/],
    ['a hole before the first', fileOf(two('1,5', '5,9'), 9), 'layout', /where the header ends/],
    ['more bytes than tensors', fileOf(header, 9), 'layout', /71 instead of 70 bytes/],
    [
      'fewer bytes than tensors',
      fileOf(header, 7),
      'truncated',
      /the file is shorter than its header says \(69 of 70 bytes\): download/,
    ],
  ])('%s', async (_, file, code, message) => {
    const error = await errorOf(() => parse(file));
    expect(error.message).toMatch(message);
    expect(error.message).toMatch(/^x\.safetensors: /);
    expect(error.code).toBe(`files.safetensors.${code}`);
  });

  it('a header longer than 100 MB even in a file that has as much', async () => {
    const error = await errorOf(() => parse(fileOf(header, 8, 100_000_001n), 2 ** 40));
    expect(error.message).toMatch(/the header claims 100,000,001 bytes, the format allows 100,000,000/);
  });

  it('and shows hostile names without their control characters, cut short', async () => {
    const error = await errorOf(() => parse(fileOf(`{"\\u001b[2J\\u202e${'x'.repeat(100_000)}":1}`)));
    expect(error.message).toMatch(/tensor \\u\{1b\}\[2J\\u\{202e\}x+… must be/);
    expect(error.message.length).toBeLessThan(400);
  });

  it('nothing that is in order: no tensors, spaces behind, entries in any order, names of the prototype', () => {
    expect(parse(fileOf('{}')).tensors.size).toBe(0);
    expect(parse(fileOf('{}'.padEnd(16))).tensors.size).toBe(0);
    expect([...parse(fileOf(two('4,8', '0,4'), 8)).tensors.keys()]).toEqual(['b', 'a']);
    const named = parse(
      fileOf('{"__proto__":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"__metadata__":{"__proto__":"a"}}', 1),
    );
    expect(named.tensors.get('__proto__')!.shape).toEqual([]);
    expect(Object.entries(named.metadata)).toEqual([['__proto__', 'a']]);
    expect(({} as Record<string, unknown>).dtype).toBeUndefined();
  });
});

describe('mutated headers', () => {
  const seed = encodeSafetensors(
    [
      { name: 'blocks.0.weight', shape: [2, 3], data: new Float32Array(6) },
      { name: 'blocks.0.bias', shape: [2], data: new Float32Array(2) },
      { name: 'labels', shape: [3], data: new Int32Array(3) },
      { name: 'empty', shape: [0, 7], data: new Uint8Array(0) },
    ],
    { tag: 'x' },
  );
  const nasty = [
    ...[
      '0',
      '1',
      '-1',
      '-0',
      '8',
      '1.5',
      '1e400',
      '9007199254740993',
      '18446744073709551616',
      'null',
      'true',
      '{}',
      '[]',
    ],
    ...[
      '"',
      '\\',
      '\\ud800',
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '[[[[',
      '"a":1,',
      '"__proto__":',
      '"dtype":"F32",',
      '\u0000',
      '\u001b',
    ],
    ...['"F64"', '"U8"', '[0,0]', '[0,24]', '"empty"', 'labels', '__metadata__', '😀'],
  ].map((text) => new TextEncoder().encode(text));
  const edit = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    remove: fc.nat(6),
    insert: fc.oneof(fc.constantFrom(...nasty), fc.uint8Array({ maxLength: 3 }), fc.constant(new Uint8Array(0))),
  });
  const mutation = fc.record({
    edits: fc.array(edit, { minLength: 1, maxLength: 3 }),
    headerLength: fc.oneof(
      { weight: 4, arbitrary: fc.constant('true' as const) },
      fc.constant('stale' as const),
      fc.bigInt(0n, 2n ** 64n - 1n),
    ),
    cut: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.nat(40)),
  });

  it('give an IdatError of one short line or a consistent result, 10,000 times', () => {
    const headerEnd = 8 + Number(new DataView(seed.buffer).getBigUint64(0, true));
    let accepted = 0;
    fc.assert(
      fc.property(mutation, ({ edits, headerLength, cut }) => {
        let header = [...seed.subarray(8, headerEnd)];
        for (const { at, remove, insert } of edits) {
          const position = Math.floor(at * header.length);
          header = [...header.slice(0, position), ...insert, ...header.slice(position + remove)];
        }
        const length =
          headerLength === 'true' ? header.length : headerLength === 'stale' ? headerEnd - 8 : headerLength;
        const whole = fileOf(Uint8Array.from(header), seed.length - headerEnd, BigInt(length));
        const file = whole.subarray(0, whole.length - cut);
        try {
          expectConsistent(parse(file), file);
          accepted++;
        } catch (error) {
          if (!(error instanceof IdatError)) throw error;
          // biome-ignore lint/suspicious/noControlCharactersInRegex: their absence is the point
          expect(error.message).toMatch(/^x\.safetensors: [^\u0000-\u001f]{10,400}$/);
        }
      }),
      { seed: 7, numRuns: 10_000 },
    );
    expect(accepted).toBeGreaterThan(100); // the mutations are not so wild that every one is refused at the door
    expect(accepted).toBeLessThan(9000);
  });

  /** The tensors tile the data, and each has the size that its shape, multiplied without rounding, asks for. */
  function expectConsistent({ tensors, metadata }: SafetensorsFile, file: Uint8Array): void {
    const itemSizes = { F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4, I16: 2, I8: 1, U8: 1, BOOL: 1 };
    let end = 8 + Number(new DataView(file.buffer).getBigUint64(0, true));
    for (const [name, tensor] of tensors) {
      expect(tensor.name).toBe(name);
      expect(tensor.offset).toBe(end);
      const elements = tensor.shape.reduce((size, extent) => size * BigInt(extent), 1n);
      expect(BigInt(tensor.byteLength)).toBe(elements * BigInt(itemSizes[tensor.dtype]));
      end += tensor.byteLength;
    }
    expect(end).toBe(file.length);
    for (const text of Object.values(metadata)) expect(typeof text).toBe('string');
  }

  it('are read once at most when they are large, and not at all as JSON where that could take minutes', () => {
    const many = 2_100_000;
    const shape = fileOf(`{"a":{"dtype":"U8","shape":[${'1,'.repeat(many)}-1],"data_offsets":[0,1]}}`, 1);
    const keys = fileOf(`{${Array.from({ length: many }, (_, i) => `"${i.toString(36)}":1`).join()}}`);
    const objects = fileOf(`{"a":{"shape":[${'{},'.repeat(many)}{}]}}`);
    const deep = fileOf(`{"a":{"b":${'['.repeat(many / 2)}`); // fewer items than are too many
    const string = fileOf(`{"${'\\"'.repeat(many)}`);
    const spaces = fileOf(`{"a"${' '.repeat(many)}`);

    const parseJson = JSON.parse;
    let parsed = 0;
    JSON.parse = (text: string) => {
      parsed += text.length;
      return parseJson(text);
    };
    try {
      const charactersParsed = (file: Uint8Array): number => {
        parsed = 0;
        expect(() => parse(file)).toThrow(IdatError);
        return parsed;
      };
      for (const file of [shape, objects, deep]) expect(charactersParsed(file)).toBeLessThan(100);
      // each key once, and nothing else: fewer of them than there are characters
      expect(charactersParsed(keys)).toBeLessThan(keys.length);
      for (const file of [string, spaces]) expect(charactersParsed(file)).toBe(file.length - 8);
    } finally {
      JSON.parse = parseJson;
    }
  }, 120_000);
});

describe('openSafetensors', () => {
  const save = (name: string, bytes: Uint8Array) => {
    const path = join(folder, name);
    writeFileSync(path, bytes);
    return path;
  };
  const good = () =>
    save(
      'good.safetensors',
      encodeSafetensors([
        { name: 'blocks.0.attn.qkv.weight', shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
        { name: 'head.weight', shape: [2], data: Float64Array.of(0.1, 5) },
        { name: 'labels', shape: [2], data: Int32Array.of(-1, 7) },
      ]),
    );

  it('reads tensors on demand', async () => {
    const open = await openSafetensors(good());
    expect(await open.read('blocks.0.attn.qkv.weight')).toEqual({
      name: 'blocks.0.attn.qkv.weight',
      dtype: 'F32',
      shape: [2, 2],
      data: Float32Array.of(1, 2, 3, 4),
    });
    expect((await open.read('labels')).data).toEqual(Int32Array.of(-1, 7));
    expect(await open.readFloat32('head.weight')).toEqual(Float32Array.of(0.1, 5));
    const integers = await errorOf(() => open.readFloat32('labels'));
    expect(integers.message).toMatch(/tensor labels holds I32 where floating-point numbers/);
    await open.close();
    await open.close();
  });

  it('offers the nearest names for a tensor that is not there', async () => {
    const open = await openSafetensors(good());
    const error = await errorOf(() => open.read('blocks.0.attn.qkv.wieght'));
    expect(error.code).toBe('files.safetensors.missing');
    expect(error.message).toMatch(
      /there is no tensor blocks\.0\.attn\.qkv\.wieght: the nearest are blocks\.0\.attn\.qkv\.weight, /,
    );
    await open.close();
    const empty = await openSafetensors(save('none.safetensors', encodeSafetensors([])));
    expect((await errorOf(() => empty.read('a'))).message).toMatch(/the file has no tensors$/);
    await empty.close();
  });

  it('says so when the file shrinks behind its back', async () => {
    const open = await openSafetensors(good());
    await truncate(open.path, open.file.tensors.get('labels')!.offset + 4);
    expect((await errorOf(() => open.read('labels'))).message).toMatch(/became shorter while idat was reading it/);
    await open.close();
  });

  it('explains a path that leads nowhere, to a folder, to nothing or to half a file', async () => {
    const half = readFileSync(good()).subarray(0, -3);
    mkdirSync(join(folder, 'sub'));
    for (const [path, message] of [
      [join(folder, 'absent.safetensors'), /absent\.safetensors: no such file: check the path$/],
      [join(folder, 'good.safetensors', 'inside'), /no such file/],
      [join(folder, 'sub'), /sub: this is a folder, expected a \.safetensors file/],
      [save('empty.safetensors', new Uint8Array(0)), /the file is empty/],
      [save('half.safetensors', half), /shorter than its header says \([\d,]+ of [\d,]+ bytes\)/],
    ] as const) {
      expect((await errorOf(() => openSafetensors(path))).message).toMatch(message);
    }
  });

  it.skipIf(process.platform === 'win32')('does not wait for a named pipe', async () => {
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    expect((await errorOf(() => openSafetensors(pipe))).message).toMatch(/this is no regular file/);
  });
});
