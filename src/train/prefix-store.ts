/**
 * What a model's frozen prefix computes, once for each image of a split and then at hand for every epoch.
 */
import { type ImageChange, type Looks, mirrored } from '../data/augment.js';
import type { PixelStore } from '../data/pixels.js';
import { sha256 } from '../files/sha256.js';
import { costOf, type Program, type ProgramCost } from '../graph/emit.js';
import { size } from '../graph/tensor.js';
import type { Runtime, Session } from '../runtime/runtime.js';
import type { ModelSpec, Prefix } from '../step/model.js';
import { type ModelInputs, pixelInputs } from './inputs.js';

/** Raised whenever records of the same key would hold other numbers, or the same in another order. */
const RECORD_VERSION = 1;

/** A prefix ready to run. */
export interface LoadedPrefix {
  /** Without the program, which may be as large as the weights and is not needed any more. */
  readonly prefix: Omit<Prefix, 'compile'>;
  readonly model: Pick<ModelSpec, 'backbone'>;
  readonly session: Session;
  readonly cost: ProgramCost;
  /** sha256 over all that decides its results but the images. */
  readonly identity: string;
}

/**
 * Loads a prefix.
 * @param loaded given back when it is the same
 */
export async function loadPrefix(
  runtime: Runtime,
  { backbone }: Pick<ModelSpec, 'backbone'>,
  prefix: Prefix,
  loaded: LoadedPrefix | null = null,
): Promise<LoadedPrefix> {
  // threads and processor decide in which order the runtime adds
  const { onnxruntime, arch, cpu } = runtime.engine;
  const engine = [onnxruntime, runtime.device, runtime.threads, arch, cpu];
  const { sha256: weights, mean, std } = backbone;
  const { compile, ...described } = prefix;
  let identity = '';
  let cost: ProgramCost | undefined;
  const session = await runtime.load(async (sink) => {
    const program = compile(sink);
    cost = costOf(program);
    const graph = await sha256(withoutName(program, sink.path));
    identity = await sha256(JSON.stringify([RECORD_VERSION, engine, graph, weights, mean, std]));
    return loaded?.identity === identity ? null : program;
  });
  return session ? { prefix: described, model: { backbone }, session, identity, cost: cost! } : loaded!;
}

/** The model without the name of a temporary file, which is another one each time; what it holds follows from the weights. */
function withoutName({ model, files }: Program, path: string): Uint8Array {
  const location = files.find((file) => file.path === path)?.location;
  if (location === undefined) return model;
  const name = new TextEncoder().encode(location);
  const kept = new Uint8Array(model.length);
  let end = 0;
  for (let at = 0; at < model.length; ) {
    if (name.every((byte, i) => model[at + i] === byte)) at += name.length;
    else kept[end++] = model[at++]!;
  }
  return kept.subarray(0, end);
}

/** In float32 numbers: what a file of records needs behind each. */
const TRAILER = 2;

/** A record's numbers and behind them room for the trailer, so that neither reading nor writing copies it. */
export function newRecord(size: number): Float32Array {
  return new Float32Array(size + TRAILER);
}

/** The numbers of a record. */
export const valuesOf = (record: Float32Array): Float32Array => record.subarray(0, record.length - TRAILER);

/** The room behind them. */
export const trailerOf = (record: Float32Array): Uint32Array =>
  new Uint32Array(record.buffer, record.byteOffset + record.byteLength - 4 * TRAILER, TRAILER);

export const recordBytes = (size: number): number => 4 * (size + TRAILER);

export interface PrefixFile {
  /** The record, or null where there is none that is whole. */
  read(index: number): Promise<Float32Array | null>;
  /** @throws the system's error, such as ENOSPC */
  write(index: number, record: Float32Array): Promise<void>;
  close(): Promise<void>;
}

export interface PrefixFileShape {
  /** What the records were made from and how, as hex digits. */
  readonly key: string;
  readonly records: number;
  /** Float32 numbers in a record. */
  readonly size: number;
}

/** Where records that do not fit into memory go. */
export interface PrefixFiles {
  /** Where that is, for messages. */
  readonly place: string;
  /** Whether later runs find them there: then all go there. */
  readonly lasting: boolean;
  /** @throws the system's error */
  open(shape: PrefixFileShape): Promise<PrefixFile>;
}

/** Bytes that several stores may hold in memory together. */
export class MemoryBudget {
  constructor(private bytesLeft: number) {}

  /** Whether there was room. */
  take(bytes: number): boolean {
    if (bytes > this.bytesLeft) return false;
    this.bytesLeft -= bytes;
    return true;
  }
}

export interface PrefixStorage {
  readonly memory: MemoryBudget;
  /** Null: what does not fit into memory is not kept. */
  readonly files: PrefixFiles | null;
  /** Told in a sentence why something is not kept. */
  readonly onProblem: (text: string) => void;
}

export interface PrefixStore extends ModelInputs {
  /** Frees memory and files; harmless when that is done. */
  close(): Promise<void>;
}

/**
 * The results of a prefix for the images of a store, each computed when it is first asked for: inputs `prefix.0` [n, …]
 * and so on.
 *
 * An image's results are the same bytes whatever images are computed beside it, as each call has the same number of
 * images. What can neither be held in memory nor written to the disk is computed again, and `onProblem` is told.
 *
 * Of `count` images, record i is of image i as it is, and record count + i of the same mirrored: so those of images as they
 * are lie in the same places of the same file whether or not there are others.
 *
 * @param storage null: keep nothing, for images that are looked at once
 * @param looks how images are shown: of both, each may leave two records
 */
export async function openPrefixStore(
  pixels: PixelStore,
  loaded: LoadedPrefix,
  storage: PrefixStorage | null,
  looks: Looks = 'plain',
): Promise<PrefixStore> {
  const { count, labels } = pixels;
  const shape: PrefixFileShape = {
    key: await sha256(`${loaded.identity}:${pixels.pixelsKey}`),
    records: looks === 'both' ? 2 * count : count,
    size: recordSize(loaded.prefix),
  };
  const first = looks === 'mirrored' ? count : 0;
  const kept = storage && new Kept(shape, first, storage);
  await kept?.open();
  const source = pixelInputs(pixels, loaded.model);
  // an image's second copy is its mirror image
  const mirror: ImageChange = {
    look: (planar, _, copy) => (copy === 1 ? mirrored(planar, pixels.size) : planar),
    mirrors: null,
  };
  const imagesOf = (records: readonly number[]) =>
    source.read(
      records.map((record) => record % count),
      mirror,
      records.map((record) => Math.floor(record / count)),
    );

  const fetch = async (indices: readonly number[]): Promise<Map<number, Float32Array>> => {
    const found = new Map<number, Float32Array>();
    const absent: number[] = [];
    for (const index of new Set(indices)) {
      const record = kept?.held(index);
      if (record) found.set(index, record);
      else absent.push(index);
    }
    if (absent.length === 0) return found;
    for (const [index, record] of (await kept?.readAll(absent)) ?? []) found.set(index, record);
    const missing = absent.filter((index) => !found.has(index));
    // what would be padding computes images that will be asked for later
    const padding = (loaded.prefix.batch - (missing.length % loaded.prefix.batch)) % loaded.prefix.batch;
    const computed = await compute(loaded, imagesOf, [...missing, ...(kept?.unknown(padding, missing) ?? [])]);
    await kept?.keep(computed);
    for (const [index, record] of computed) found.set(index, record);
    return found;
  };
  const read: ModelInputs['read'] = async (indices, change, copies) => {
    const mirrors = change ? change.mirrors : () => false;
    if (!mirrors) throw new Error('images behind a prefix may be mirrored, and no more');
    const records = indices.map((index, i) => (mirrors(index, copies?.[i]) ? count + index : index));
    const stray = records.some((record) => record < first || record >= first + shape.records);
    if (stray) throw new Error(`a store of images that are ${looks} was asked for others`);
    const found = await fetch(records);
    return gather(
      loaded.prefix,
      records.map((record) => found.get(record)!),
    );
  };
  const prepare = async (indices: readonly number[]): Promise<void> => {
    const own = indices.map((index) => first + index);
    const records = looks === 'both' ? own.flatMap((record) => [record, count + record]) : own;
    if (kept) await fetch(records.filter((record) => !kept.knows(record)));
  };
  return { count, labels, read, prepare, close: async () => kept?.close() };
}

/** Runs the prefix for these records; the last call is filled up with its last image. */
async function compute(
  { prefix, session }: LoadedPrefix,
  imagesOf: (records: readonly number[]) => Promise<Record<string, Float32Array>>,
  indices: readonly number[],
): Promise<[number, Float32Array][]> {
  const computed: [number, Float32Array][] = [];
  for (let start = 0; start < indices.length; start += prefix.batch) {
    const part = indices.slice(start, start + prefix.batch);
    const filled = Array.from({ length: prefix.batch }, (_, i) => part[Math.min(i, part.length - 1)]!);
    const outputs = await session.run(await imagesOf(filled));
    for (const [row, index] of part.entries()) computed.push([index, toRecord(prefix, outputs, row)]);
  }
  return computed;
}

/** Float32 numbers that one image leaves. */
export const recordSize = ({ tensors }: Pick<Prefix, 'tensors'>): number =>
  tensors.reduce((sum, { shape }) => sum + size(shape), 0);

/** One image's results, one tensor after the other. */
function toRecord(
  prefix: Pick<Prefix, 'tensors'>,
  outputs: Readonly<Record<string, Float32Array>>,
  row: number,
): Float32Array {
  const record = newRecord(recordSize(prefix));
  let offset = 0;
  for (const { name, shape } of prefix.tensors) {
    const length = size(shape);
    record.set(outputs[name]!.subarray(row * length, (row + 1) * length), offset);
    offset += length;
  }
  return record;
}

/** The counterpart of `toRecord` for several images: each tensor [images, …]. */
function gather({ tensors }: Pick<Prefix, 'tensors'>, records: readonly Float32Array[]): Record<string, Float32Array> {
  const inputs: Record<string, Float32Array> = {};
  let offset = 0;
  for (const { name, shape } of tensors) {
    const length = size(shape);
    const rows = new Float32Array(records.length * length);
    records.forEach((record, row) => {
      rows.set(record.subarray(offset, offset + length), row * length);
    });
    inputs[name] = rows;
    offset += length;
  }
  return inputs;
}

/** Records at hand: the first ones in memory, up to the budget, the others (with a folder, all) in a file. */
class Kept {
  private readonly memory = new Map<number, Float32Array>();
  private file: PrefixFile | null = null;
  /** After the first problem nothing more is written; what was written is still read. */
  private writable = true;
  /** 1 for each image whose record was computed or read already. */
  private readonly known: Uint8Array;
  private firstUnknown: number;

  /** @param first of the records */
  constructor(
    private readonly shape: PrefixFileShape,
    first: number,
    private readonly storage: PrefixStorage,
  ) {
    this.known = new Uint8Array(first + shape.records);
    this.firstUnknown = first;
  }

  /** Takes up what an earlier run left. */
  async open(): Promise<void> {
    if (this.storage.files?.lasting) await this.openFile();
  }

  held(index: number): Float32Array | undefined {
    return this.memory.get(index);
  }

  knows(index: number): boolean {
    return this.known[index] === 1;
  }

  /** Up to `count` images that nothing is known of, others than `except`. */
  unknown(count: number, except: readonly number[]): number[] {
    while (this.known[this.firstUnknown] === 1) this.firstUnknown++;
    const found: number[] = [];
    for (let index = this.firstUnknown; index < this.known.length && found.length < count; index++) {
      if (this.known[index] === 0 && !except.includes(index)) found.push(index);
    }
    return found;
  }

  /** Those of the records that the file has. */
  async readAll(indices: readonly number[]): Promise<[number, Float32Array][]> {
    const { file } = this;
    if (!file) return [];
    const read = await Promise.all(indices.map(async (index) => [index, await file.read(index)] as const));
    const whole = read.filter((entry): entry is [number, Float32Array] => entry[1] !== null);
    for (const [index, record] of whole) this.hold(index, record);
    return whole;
  }

  async keep(records: readonly [number, Float32Array][]): Promise<void> {
    const writes = records.filter(([index, record]) => !this.hold(index, record) || this.storage.files?.lasting);
    if (writes.length === 0 || !this.writable) return;
    if (!this.file) await this.openFile();
    const { file } = this;
    if (!file) return;
    const results = await Promise.allSettled(writes.map(([index, record]) => file.write(index, record)));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) this.giveUp(failed.reason);
  }

  async close(): Promise<void> {
    this.memory.clear();
    this.writable = false;
    const { file } = this;
    this.file = null;
    await file?.close();
  }

  private hold(index: number, record: Float32Array): boolean {
    this.known[index] = 1;
    if (this.memory.has(index)) return true;
    if (!this.storage.memory.take(recordBytes(this.shape.size))) return false;
    this.memory.set(index, record);
    return true;
  }

  private async openFile(): Promise<void> {
    try {
      this.file = (await this.storage.files?.open(this.shape)) ?? null;
      if (!this.file) this.giveUp(new Error('memory is full'));
    } catch (error) {
      this.giveUp(error as Error);
    }
  }

  private giveUp(error: Error): void {
    this.writable = false;
    const where = this.storage.files?.place ?? 'memory';
    const what = `${where}: cannot keep what the frozen part of the model computes (${error.message})`;
    this.storage.onProblem(`${what}; what does not fit into memory is computed in every epoch`);
  }
}
