/**
 * Safetensors files: an 8-byte little-endian header length, a JSON header, then the tensors' raw little-endian bytes.
 * Reads the header (written by strangers, so nothing in it is believed before it is checked), converts tensors to
 * typed arrays, and writes files byte for byte as the official library does.
 *
 * Runs in a browser: bytes come in and go out, opening files is the business of safetensors-node.ts.
 *
 * @see https://github.com/huggingface/safetensors, section "Format"
 */
import { IdatError, printable } from '../errors.js';

/** One row for each element type: its size in bytes, and the typed array that holds its values without loss. */
const DTYPES = {
  F64: { itemSize: 8, decode: (bytes: Uint8Array) => new Float64Array(aligned(bytes)) },
  F32: { itemSize: 4, decode: (bytes: Uint8Array) => new Float32Array(aligned(bytes)) },
  F16: { itemSize: 2, decode: float16ToFloat32 },
  BF16: { itemSize: 2, decode: bfloat16ToFloat32 },
  I64: { itemSize: 8, decode: (bytes: Uint8Array) => new BigInt64Array(aligned(bytes)) },
  I32: { itemSize: 4, decode: (bytes: Uint8Array) => new Int32Array(aligned(bytes)) },
  I16: { itemSize: 2, decode: (bytes: Uint8Array) => new Int16Array(aligned(bytes)) },
  I8: { itemSize: 1, decode: (bytes: Uint8Array) => new Int8Array(aligned(bytes)) },
  U8: { itemSize: 1, decode: (bytes: Uint8Array) => new Uint8Array(aligned(bytes)) },
  BOOL: { itemSize: 1, decode: (bytes: Uint8Array) => new Uint8Array(aligned(bytes)) },
};

export type Dtype = keyof typeof DTYPES;
export type FloatDtype = 'F64' | 'F32' | 'F16' | 'BF16';
export type TensorArray = ReturnType<(typeof DTYPES)[Dtype]['decode']>;

/** Where one tensor lies in its file. */
export interface TensorEntry {
  name: string;
  dtype: Dtype;
  shape: number[];
  /** Counted from the first byte of the file; not necessarily a multiple of the element size. */
  offset: number;
  byteLength: number;
}

/** A checked header: the tensors lie end to end, in the map's order, from the header's end to the file's. */
export interface SafetensorsFile {
  /** What messages call the file: its path or address. */
  name: string;
  /** Has no prototype, so any key is only a key. */
  metadata: Record<string, string>;
  tensors: Map<string, TensorEntry>;
}

/** What `encodeSafetensors` writes: float32 as F32, and so on by the type of the array. */
export interface TensorSource {
  name: string;
  shape: readonly number[];
  data: BigInt64Array | Float64Array | Float32Array | Int32Array | Uint8Array;
}

/** The official library refuses longer headers too; it keeps a hostile file from filling the memory. */
export const MAX_HEADER_BYTES = 100_000_000;
/**
 * Braces, brackets and commas in a header; a tensor takes about 10. Without a bound 100 MB of the smallest entries keep
 * JSON.parse busy for more than ten minutes or exhaust the heap.
 */
const MAX_HEADER_ITEMS = 2_000_000;
const LENGTH_BYTES = 8;

/**
 * Reads the header length and returns the absolute position at which the header ends and the tensors begin.
 *
 * @param firstBytes at least the first 9 bytes of the file, or all of a shorter one
 * @throws IdatError when this is no safetensors file, or the header is longer than the file or than 100 MB
 */
export function safetensorsHeaderEnd(firstBytes: Uint8Array, fileSize: number, name: string): number {
  if (fileSize === 0) throw problem('truncated', name, 'the file is empty: download or copy it again');
  if (fileSize < LENGTH_BYTES + 2) {
    throw problem(
      'truncated',
      name,
      `${sizes(fileSize, LENGTH_BYTES + 2)}, the least a safetensors file can have)${AGAIN}`,
    );
  }
  if (firstBytes[LENGTH_BYTES] !== '{'.charCodeAt(0)) throw notSafetensors(firstBytes, name);
  const view = new DataView(firstBytes.buffer, firstBytes.byteOffset, firstBytes.byteLength);
  const headerBytes = view.getBigUint64(0, true);
  if (headerBytes > BigInt(MAX_HEADER_BYTES)) {
    throw problem(
      'header',
      name,
      `the header claims ${headerBytes.toLocaleString('en-US')} bytes, the format allows ${grouped(MAX_HEADER_BYTES)}: ` +
        'this is no safetensors file or a damaged one, download or copy it again',
    );
  }
  const end = LENGTH_BYTES + Number(headerBytes);
  if (end > fileSize) throw problem('truncated', name, `${sizes(fileSize, end)} for the header alone)${AGAIN}`);
  return end;
}

/**
 * Reads and checks the header.
 *
 * Accepted are exactly the files whose tensors fill the space behind the header without overlap, hole or rest, each
 * with as many bytes as its shape and type need, and no name twice (up to 100 MB of header and some 200,000 tensors).
 *
 * @param firstBytes the file's first bytes, at least up to `safetensorsHeaderEnd`; the whole file will do
 * @param fileSize the size of the whole file in bytes
 * @param name what messages call the file
 * @throws IdatError for every other file, naming the tensor, what was expected and what was found
 */
export function parseSafetensorsHeader(firstBytes: Uint8Array, fileSize: number, name: string): SafetensorsFile {
  const dataStart = safetensorsHeaderEnd(firstBytes, fileSize, name);
  if (firstBytes.length < dataStart) {
    throw new RangeError(`parseSafetensorsHeader needs the first ${dataStart} bytes, got ${firstBytes.length}`);
  }
  const { __metadata__: metadata, ...entries } = parseJson(firstBytes.subarray(LENGTH_BYTES, dataStart), name);
  const tensors = Object.entries(entries).map(([tensor, entry]) => parseEntry(tensor, entry, dataStart, name));
  tensors.sort((a, b) => a.offset - b.offset || a.byteLength - b.byteLength);
  checkLayout(tensors, dataStart, fileSize, name);
  return {
    name,
    metadata: parseMetadata(metadata, name),
    tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])),
  };
}

/** The header as an object whose keys are all its own and occur once. */
function parseJson(header: Uint8Array, name: string): Record<string, unknown> {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(header);
    checkKeys(text, name);
    return JSON.parse(text) as Record<string, unknown>; // an object: it starts with a brace
  } catch (error) {
    if (error instanceof IdatError) throw error;
    const reason = error instanceof SyntaxError ? `JSON (${printable(error.message)})` : 'UTF-8 text';
    throw problem('header', name, `the header is not valid ${reason}${AGAIN}`, error);
  }
}

/**
 * Refuses keys that occur twice (JSON.parse would silently keep the last), and what JSON.parse should never see: nesting
 * deeper than header, tensor, shape, and millions of items. One pass; what is no JSON at all is left to JSON.parse.
 */
function checkKeys(text: string, name: string): void {
  const open: Set<string>[] = [];
  let items = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if ((char === '{' || char === '[' || char === ',') && ++items > MAX_HEADER_ITEMS) {
      const limit = `${grouped(MAX_HEADER_ITEMS)} items, which is some 200,000 tensors`;
      throw problem('header', name, `the header has more than ${limit}: split the file or get it from another source`);
    }
    if (char === '{' || char === '[') {
      if (open.push(new Set()) > 3) throw problem('header', name, `the header is nested deeper than 3 levels${AGAIN}`);
    } else if (char === '}' || char === ']') {
      open.pop();
    } else if (char === '"') {
      const start = i;
      for (i++; i < text.length && text[i] !== '"'; i++) if (text[i] === '\\') i++;
      let next = i + 1;
      while (next < text.length && text.charCodeAt(next) <= 0x20) next++;
      if (text[next] !== ':') continue; // a value, not a key
      const key = JSON.parse(text.slice(start, i + 1)) as string;
      if (open.at(-1)?.has(key)) {
        const where = open.length === 1 ? 'the header' : 'one entry of the header';
        throw problem(
          'duplicate',
          name,
          `${where} has the name ${printable(key)} twice: write the file again with unique names`,
        );
      }
      open.at(-1)?.add(key);
    }
  }
}

function parseMetadata(value: unknown, name: string): Record<string, string> {
  const metadata: Record<string, string> = Object.create(null);
  if (value === undefined) return metadata;
  if (!isObject(value)) {
    throw problem('header', name, `__metadata__ must be an object of strings, got ${shown(value)}${REWRITE}`);
  }
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') {
      throw problem('header', name, `__metadata__.${printable(key)} must be a string, got ${shown(text)}${REWRITE}`);
    }
    metadata[key] = text;
  }
  return metadata;
}

function parseEntry(tensor: string, value: unknown, dataStart: number, name: string): TensorEntry {
  const wrong = (what: string) => problem('tensor', name, `tensor ${printable(tensor)} ${what}${REWRITE}`);
  if (!isObject(value)) throw wrong(`must be an object with dtype, shape and data_offsets, got ${shown(value)}`);
  const { dtype, shape, data_offsets: range } = value;
  if (/\p{Surrogate}/u.test(tensor)) throw wrong('has half a character (a lone surrogate) in its name');
  if (typeof dtype !== 'string' || !Object.hasOwn(DTYPES, dtype)) {
    throw wrong(`has the type ${shown(dtype)}, idat reads ${Object.keys(DTYPES).join(', ')}`);
  }
  if (!Array.isArray(shape) || !shape.every(isCount)) {
    throw wrong(`must have a shape of whole numbers from 0 to 2^53 - 1, got ${shown(shape)}`);
  }
  if (!isRange(range)) throw wrong(`must have data_offsets [begin, end] with 0 <= begin <= end, got ${shown(range)}`);
  const [begin, end] = range;
  const needed = product([...shape, DTYPES[dtype as Dtype].itemSize]);
  if (needed !== end - begin) {
    const need = needed === undefined ? 'more than 2^53' : grouped(needed);
    throw wrong(`(${dtype}, ${shown(shape)}) needs ${need} bytes, its data_offsets give ${grouped(end - begin)}`);
  }
  return { name: tensor, dtype: dtype as Dtype, shape, offset: dataStart + begin, byteLength: end - begin };
}

/** @param tensors by increasing offset */
function checkLayout(tensors: readonly TensorEntry[], dataStart: number, fileSize: number, name: string): void {
  let end = dataStart;
  let before = 'the header';
  for (const tensor of tensors) {
    const gap = tensor.offset - end;
    if (gap !== 0) {
      const found = `${grouped(Math.abs(gap))} ${Math.abs(gap) === 1 ? 'byte' : 'bytes'} ${gap < 0 ? 'earlier (they overlap)' : 'later (a hole)'}`;
      const what = `tensor ${printable(tensor.name)} must begin where ${before} ends, it begins ${found}`;
      throw problem('layout', name, what + REWRITE);
    }
    end += tensor.byteLength;
    before = `tensor ${printable(tensor.name)}`;
  }
  if (end > fileSize) throw problem('truncated', name, `${sizes(fileSize, end)})${AGAIN}`);
  if (end < fileSize) {
    throw problem(
      'layout',
      name,
      `the file is longer than its header says (${grouped(fileSize)} instead of ${grouped(end)} bytes)${AGAIN}`,
    );
  }
}

/**
 * The values of a tensor as a new typed array: floating-point numbers up to 32 bits as Float32Array, F64 as
 * Float64Array, integers in their own width, BOOL as the bytes 0 and 1.
 *
 * @param bytes the tensor's bytes, at any alignment
 */
export function decodeTensor(bytes: Uint8Array, dtype: Dtype): TensorArray {
  return DTYPES[dtype].decode(bytes);
}

/** The values of a floating-point tensor in float32: F32, F16 and BF16 exactly, F64 rounded to nearest. */
export function toFloat32(bytes: Uint8Array, dtype: FloatDtype): Float32Array {
  const values = DTYPES[dtype].decode(bytes);
  return values instanceof Float32Array ? values : Float32Array.from(values);
}

export function isFloatDtype(dtype: Dtype): dtype is FloatDtype {
  return dtype === 'F64' || dtype === 'F32' || dtype === 'F16' || dtype === 'BF16';
}

/** A copy that starts at an address typed arrays accept. Safetensors is little-endian, and so is all that runs JavaScript. */
function aligned(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

/** BF16 is the upper half of a float32. */
function bfloat16ToFloat32(bytes: Uint8Array): Float32Array {
  const halves = new Uint16Array(aligned(bytes));
  const values = new Float32Array(halves.length);
  const bits = new Uint32Array(values.buffer);
  for (let i = 0; i < halves.length; i++) bits[i] = halves[i]! << 16;
  return values;
}

/**
 * F16 has 5 bits of exponent (bias 15) where float32 has 8 (bias 127). Its exponent and fraction, moved to float32's
 * place, therefore mean a number 2^112 times too small, for subnormal numbers too; multiplying is exact. Infinity and
 * NaN (exponent 31) need all 8 bits set instead.
 */
function float16ToFloat32(bytes: Uint8Array): Float32Array {
  const halves = new Uint16Array(aligned(bytes));
  const values = new Float32Array(halves.length);
  const bits = new Uint32Array(values.buffer);
  for (let i = 0; i < halves.length; i++) {
    const half = halves[i]!;
    const finite = (half & 0x7c00) !== 0x7c00;
    bits[i] = ((half & 0x8000) << 16) | ((half & 0x7fff) << 13) | (finite ? 0 : 0x7f800000);
    if (finite) values[i] = values[i]! * 2 ** 112;
  }
  return values;
}

/** The arrays `encodeSafetensors` takes, in the order the official library writes their types: widest alignment first. */
const WRITTEN = [
  ['I64', BigInt64Array],
  ['F64', Float64Array],
  ['F32', Float32Array],
  ['I32', Int32Array],
  ['U8', Uint8Array],
] as const;

/**
 * A whole file. The same tensors and metadata give the same bytes in whatever order they come: tensors are sorted by
 * type and name and the header is padded with spaces to a multiple of 8, as the official library does, so that every
 * tensor is aligned to its element size; metadata is sorted by key.
 *
 * @throws IdatError when a name occurs twice or is reserved, or a shape does not fit its data
 */
export function encodeSafetensors(tensors: Iterable<TensorSource>, metadata: Record<string, string> = {}): Uint8Array {
  const pieces = [...safetensorsPieces(tensors, metadata)];
  const file = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let position = 0;
  for (const piece of pieces) {
    file.set(piece, position);
    position += piece.length;
  }
  return file;
}

/** The same file piece by piece, header first, for what need not be in memory as a whole. */
export function* safetensorsPieces(
  tensors: Iterable<TensorSource>,
  metadata: Record<string, string> = {},
): Generator<Uint8Array> {
  const rank = ({ data }: TensorSource) => WRITTEN.findIndex(([, type]) => data instanceof type);
  const sorted = [...tensors].sort((a, b) => rank(a) - rank(b) || compare(a.name, b.name));
  const names = new Set<string>();
  const header: string[] = [];
  const pairs = Object.entries(metadata).sort(([a], [b]) => compare(a, b));
  if (pairs.length > 0) {
    header.push(
      `"__metadata__":{${pairs.map(([key, text]) => `${JSON.stringify(key)}:${JSON.stringify(text)}`).join()}}`,
    );
  }
  let end = 0;
  for (const tensor of sorted) {
    checkSource(tensor, names);
    names.add(tensor.name);
    const begin = end;
    end += tensor.data.byteLength;
    const entry = { dtype: WRITTEN[rank(tensor)]![0], shape: tensor.shape, data_offsets: [begin, end] };
    header.push(`${JSON.stringify(tensor.name)}:${JSON.stringify(entry)}`);
  }

  const json = new TextEncoder().encode(`{${header.join()}}`);
  const dataStart = LENGTH_BYTES + Math.ceil(json.length / 8) * 8;
  const start = new Uint8Array(dataStart).fill(' '.charCodeAt(0));
  new DataView(start.buffer).setBigUint64(0, BigInt(dataStart - LENGTH_BYTES), true);
  start.set(json, LENGTH_BYTES);
  yield start;
  for (const { data } of sorted) yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function checkSource({ name, shape, data }: TensorSource, taken: ReadonlySet<string>): void {
  const wrong = (what: string) =>
    new IdatError('files.safetensors.encode', `cannot write tensor ${printable(name)}: ${what}`);
  if (taken.has(name)) throw wrong('another tensor has the same name, give each its own');
  if (name === '__metadata__') throw wrong('the format reserves this name, choose another');
  if (/\p{Surrogate}/u.test(name)) throw wrong('half a character (a lone surrogate) in the name, choose another');
  if (!shape.every(isCount) || product(shape) !== data.length) {
    throw wrong(`shape [${shape.join(', ')}] does not hold ${grouped(data.length)} values, pass the shape of the data`);
  }
}

const AGAIN = ': download or copy it again';
const REWRITE = ': write the file again or get it from another source';

function problem(code: string, file: string, what: string, cause?: unknown): IdatError {
  return new IdatError(`files.safetensors.${code}`, `${file}: ${what}`, { cause });
}

function notSafetensors(firstBytes: Uint8Array, name: string): IdatError {
  const start = String.fromCharCode(...firstBytes.subarray(0, 16));
  const advice = start.startsWith('version ')
    ? 'this looks like a Git LFS pointer, fetch the real file with "git lfs pull"'
    : 'download it again or choose another file';
  return problem('format', name, `not a safetensors file (starts with "${printable(start)}"): ${advice}`);
}

function sizes(found: number, expected: number): string {
  return `the file is shorter than its header says (${grouped(found)} of ${grouped(expected)} bytes`;
}

function grouped(count: number): string {
  return count.toLocaleString('en-US');
}

/** A stranger's JSON value for a message. Only the beginning of a long list is turned into text. */
function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return `[${value.slice(0, 8).map(shown).join(', ')}${value.length > 8 ? ', …' : ''}]`;
  return isObject(value) ? 'an object' : printable(typeof value === 'number' ? String(value) : JSON.stringify(value));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A whole number from 0 to 2^53 - 1 (and not -0, which would come out as a size again). */
function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && !Object.is(value, -0);
}

function isRange(value: unknown): value is [begin: number, end: number] {
  return Array.isArray(value) && value.length === 2 && value.every(isCount) && value[0]! <= value[1]!;
}

/** The product, or undefined when it cannot be represented exactly. */
function product(factors: readonly number[]): number | undefined {
  if (factors.includes(0)) return 0;
  let result = 1;
  for (const factor of factors) {
    result *= factor;
    if (!Number.isSafeInteger(result)) return undefined;
  }
  return result;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
