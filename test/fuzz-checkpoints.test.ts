/**
 * Checkpoints changed at random: every one either opens as a backbone whose weights are all there, or is refused in one
 * sentence; none takes memory that the file does not have.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { backboneFromFile } from '../src/backbones/node/checkpoint.js';
import { IdatError } from '../src/errors.js';
import { type RandomStream, randomStream } from '../src/random.js';

const fixtures = fileURLToPath(new URL('fixtures/checkpoints/', import.meta.url));
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'idat-fuzz-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const pick = <T>(random: RandomStream, items: readonly T[]): T => items[random.below(items.length)]!;

/** Numbers at which sizes, offsets and sums go wrong. */
const SIZES = [0, 1, 2, 3, 7, 255, 65_535, 2 ** 20, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 53 - 1, 2 ** 53, 1e300, -1];
const TEXTS = [
  '../',
  '..\\',
  '\0',
  '\n',
  '/',
  'é',
  '\u202e',
  '"',
  '{',
  '}',
  ',',
  ':',
  '[',
  ']',
  'null',
  'NaN',
  '-',
  '.',
  'e9',
];

type Mutation = (bytes: Buffer, random: RandomStream) => Buffer;

/** A position among the first or last bytes, where headers and directories are, or anywhere. */
function position({ length }: Buffer, random: RandomStream): number {
  const near = Math.min(length, pick(random, [16, 200, 4000, length]));
  const at = random.below(Math.max(near, 1));
  return random.below(2) === 0 ? at : length - 1 - at;
}

function writeNumber(bytes: Buffer, at: number, width: number, value: number): void {
  const whole = Number.isSafeInteger(value) && value >= 0 ? BigInt(value) : 2n ** 64n - 1n;
  for (let i = 0; i < width && at + i < bytes.length; i++) bytes[at + i] = Number((whole >> BigInt(8 * i)) & 255n);
}

const splice = (bytes: Buffer, start: number, end: number, middle: Uint8Array): Buffer =>
  Buffer.concat([bytes.subarray(0, start), middle, bytes.subarray(end)]);

const flipBytes: Mutation = (bytes, random) => {
  for (let n = 1 + random.below(4); n > 0; n--) bytes[position(bytes, random)]! ^= 1 + random.below(255);
  return bytes;
};
const truncate: Mutation = (bytes, random) => bytes.subarray(0, random.below(bytes.length + 1));
const overwriteNumber: Mutation = (bytes, random) => {
  writeNumber(bytes, Math.max(0, position(bytes, random) - 4), pick(random, [1, 2, 4, 8]), pick(random, SIZES));
  return bytes;
};
const removeOrRepeat: Mutation = (bytes, random) => {
  const start = position(bytes, random);
  const end = Math.min(bytes.length, start + 1 + random.below(64));
  const copies = random.below(2) * 2;
  return splice(bytes, start, end, Buffer.concat(new Array(copies).fill(bytes.subarray(start, end))));
};
const insertText: Mutation = (bytes, random) => {
  const at = position(bytes, random);
  return splice(bytes, at, random.below(2) === 0 ? at : at + 1, Buffer.from(pick(random, TEXTS)));
};
/** A number written in digits: in a header of JSON or of NumPy. */
const changeDigits: Mutation = (bytes, random) => {
  const numbers = [...bytes.subarray(0, 8000).toString('latin1').matchAll(/\d+/g)];
  if (numbers.length === 0) return bytes;
  const { index, 0: digits } = pick(random, numbers);
  return splice(bytes, index, index + digits.length, Buffer.from(String(pick(random, SIZES))));
};
const ANYWHERE = [flipBytes, truncate, overwriteNumber, removeOrRepeat, insertText, changeDigits];

/** JSON values where others are expected. */
const odd = (random: RandomStream): unknown =>
  pick<unknown>(random, [
    ...SIZES,
    ...TEXTS,
    ...[null, true, [], {}, [[[]]], [1, 2, 3], 'F16', 'I64', 'x'.repeat(1000), '0', '-1', '1e9', 'NaN', '8', '3,3'],
    ...[new Array(5000).fill(1), { a: { b: {} } }, 0.5, 1e-320],
  ]);

/** Replaces, removes or renames one thing somewhere in a JSON value. */
function changeJson(value: unknown, random: RandomStream): unknown {
  if (typeof value !== 'object' || value === null || random.below(8) === 0) return odd(random);
  const keys = Object.keys(value);
  if (keys.length === 0) return odd(random);
  const key = pick(random, keys);
  const old = (value as Record<string, unknown>)[key];
  if (Array.isArray(value)) return value.map((item, i) => (String(i) === key ? changeJson(item, random) : item));
  const { [key]: _, ...others } = value as Record<string, unknown>;
  const action = random.below(10);
  if (action === 0) return others;
  if (action === 1) return { ...others, [key.replace(/[a-z0-9]/, () => pick(random, TEXTS))]: old };
  if (action === 2) return { ...value, [pick(random, keys)]: old };
  return { ...value, [key]: changeJson(old, random) };
}

/** The header of safetensors, valid JSON of the right length that says something else. */
const changeHeader: Mutation = (bytes, random) => {
  const end = 8 + Number(bytes.readBigUInt64LE(0));
  const header = changeJson(JSON.parse(bytes.subarray(8, end).toString()), random);
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, bytes.subarray(end)]);
};

const changeText: Mutation = (bytes, random) =>
  Buffer.from(JSON.stringify(changeJson(JSON.parse(bytes.toString()), random)));

/** Fields of a zip's headers: offset and width. */
// biome-ignore format: one header a line
const ZIP_FIELDS: Record<string, readonly (readonly [offset: number, width: number])[]> = {
  // directory: version made by, flags, method, checksum, sizes, lengths of name, extra and comment, offset
  'PK\x01\x02': [[4, 2], [8, 2], [10, 2], [16, 4], [20, 4], [24, 4], [28, 2], [30, 2], [32, 2], [42, 4]],
  // in front of an entry: flags, method, sizes, lengths of name and extra
  'PK\x03\x04': [[6, 2], [8, 2], [18, 4], [22, 4], [26, 2], [28, 2]],
  // end: disk, entries, size and offset of the directory, length of the comment
  'PK\x05\x06': [[4, 2], [8, 2], [10, 2], [12, 4], [16, 4], [20, 2]],
};

function zipHeaders(bytes: Buffer, signature: string): number[] {
  const found: number[] = [];
  for (let at = bytes.indexOf(signature, 0, 'latin1'); at >= 0; at = bytes.indexOf(signature, at + 4, 'latin1')) {
    found.push(at);
  }
  return found;
}

const changeZipField: Mutation = (bytes, random) => {
  const [signature, fields] = pick(random, Object.entries(ZIP_FIELDS));
  const headers = zipHeaders(bytes, signature);
  const [offset, width] = pick(random, fields);
  const at = pick(random, headers) + offset;
  const nearby = bytes.readUIntLE(at, width) + random.below(65) - 32;
  writeNumber(
    bytes,
    at,
    width,
    random.below(2) === 0 ? Math.max(nearby, 0) : pick(random, [...SIZES, 8, bytes.length]),
  );
  return bytes;
};
/** An entry's name in the directory: another entry's, or one that leads elsewhere. */
const renameEntry: Mutation = (bytes, random) => {
  const headers = zipHeaders(bytes, 'PK\x01\x02');
  const [at, other] = [pick(random, headers), pick(random, headers)];
  const name = (header: number) => bytes.subarray(header + 46, header + 46 + bytes.readUInt16LE(header + 28));
  const text = random.below(2) === 0 ? name(other) : Buffer.from(pick(random, TEXTS));
  text.copy(name(at), random.below(4));
  return bytes;
};

const ANY_ZIP = [...ANYWHERE, changeZipField, changeZipField, changeZipField, renameEntry];
const ANY_SAFETENSORS = [...ANYWHERE, changeHeader, changeHeader, changeHeader, changeHeader];
const ANY_JSON = [...ANYWHERE, changeText, changeText, changeText, changeText, changeText, changeText];

interface Target {
  /** A fixture: a file, or a folder. */
  readonly fixture: string;
  /** The file of the folder that is changed. */
  readonly changed?: string;
  readonly mutations: readonly Mutation[];
  readonly count: number;
}

const TARGETS: readonly Target[] = [
  { fixture: 'timm-vit.safetensors', mutations: ANY_SAFETENSORS, count: 2000 },
  { fixture: 'timm-swin.safetensors', mutations: ANY_SAFETENSORS, count: 1000 },
  { fixture: 'huggingface-vit', changed: 'model.safetensors', mutations: ANY_SAFETENSORS, count: 1000 },
  { fixture: 'google.npz', mutations: ANY_ZIP, count: 2000 },
  { fixture: 'google-training.npz', mutations: ANY_ZIP, count: 1500 },
  { fixture: 'huggingface-vit', changed: 'config.json', mutations: ANY_JSON, count: 1000 },
  { fixture: 'huggingface-swin', changed: 'config.json', mutations: ANY_JSON, count: 700 },
  { fixture: 'huggingface-vit', changed: 'preprocessor_config.json', mutations: ANY_JSON, count: 300 },
  { fixture: 'huggingface-vit-sharded', changed: 'model.safetensors.index.json', mutations: ANY_JSON, count: 500 },
];

/** Beyond what a test process takes anyway. A single false size of 31 bits would be more. */
const MEMORY_KIB = 400 * 2 ** 10;
const LONGEST_MS = 5000;

it('10,000 changed files open or are refused in one sentence', async () => {
  expect(TARGETS.reduce((sum, { count }) => sum + count, 0)).toBe(10_000);
  const before = process.resourceUsage().maxRSS;
  const codes = new Map<string, number>();
  for (const [t, { fixture, changed, mutations, count }] of TARGETS.entries()) {
    const own = join(folder, String(t));
    mkdirSync(own);
    const opened = changed === undefined ? join(own, fixture) : own;
    cpSync(join(fixtures, fixture), opened, { recursive: true });
    const file = changed === undefined ? opened : join(own, changed);
    const original = readFileSync(file);
    for (let i = 0; i < count; i++) {
      const random = randomStream(1, 'fuzz', fixture, changed ?? '', i);
      let bytes = pick(random, mutations)(Buffer.from(original), random);
      if (random.below(4) === 0) bytes = pick(random, ANYWHERE)(bytes, random);
      writeFileSync(file, bytes);
      const outcome = await outcomeOf(opened, `${fixture} ${changed ?? ''} ${i}`);
      codes.set(outcome, (codes.get(outcome) ?? 0) + 1);
    }
  }
  // both ways out are taken, and many reasons are given
  expect(codes.get('opened')).toBeGreaterThan(500);
  expect([...codes.keys()].length).toBeGreaterThan(15);
  expect(process.resourceUsage().maxRSS - before).toBeLessThan(MEMORY_KIB);
}, 120_000);

async function outcomeOf(path: string, which: string): Promise<string> {
  const started = performance.now();
  try {
    const { config, weights, mean, std } = await backboneFromFile(path);
    expect(config.layerNormEps).toBeGreaterThan(0);
    expect([mean.length, std.length, weights.has('norm.weight')], which).toEqual([3, 3, true]);
    return 'opened';
  } catch (error) {
    if (!(error instanceof IdatError)) throw new Error(`mutation ${which} ends in ${error}`, { cause: error });
    const sentence = error.message.replaceAll(path, '');
    expect(sentence, which).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\u202e]/u);
    expect(sentence.length, which).toBeLessThan(1200);
    return error.code;
  } finally {
    expect(performance.now() - started, which).toBeLessThan(LONGEST_MS);
  }
}
