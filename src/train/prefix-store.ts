/**
 * What a model's frozen prefix computes, once for each image of a split and then at hand for every epoch.
 */
import { createHash } from 'node:crypto';
import { cpus } from 'node:os';
import type { PixelStore } from '../data/index.js';
import type { Program } from '../graph/emit.js';
import { size } from '../graph/tensor.js';
import type { Runtime, Session } from '../runtime/runtime.js';
import { withWeightFile } from '../runtime/weight-file.js';
import { type ModelInputs, pixelInputs } from './inputs.js';
import type { ModelSpec, Prefix } from './model.js';
import { newRecord, openPrefixFile, type PrefixFile, type PrefixFileShape, recordBytes } from './prefix-file.js';

/** Raised whenever records of the same key would hold other numbers, or the same in another order. */
const RECORD_VERSION = 1;

/** A prefix ready to run. */
export interface LoadedPrefix {
  /** Without the program, which may be as large as the weights and is not needed any more. */
  readonly prefix: Omit<Prefix, 'compile'>;
  readonly model: Pick<ModelSpec, 'backbone'>;
  readonly session: Session;
  /** sha256 over all that decides its results but the images. */
  readonly identity: string;
}

/**
 * Loads a prefix.
 * @param onnxruntime the version of the runtime, part of the identity
 * @param loaded given back when it is the same
 */
export async function loadPrefix(
  runtime: Runtime,
  { backbone }: Pick<ModelSpec, 'backbone'>,
  prefix: Prefix,
  onnxruntime: string,
  loaded: LoadedPrefix | null = null,
): Promise<LoadedPrefix> {
  // threads and processor decide in which order the runtime adds
  const engine = [onnxruntime, runtime.device, runtime.threads, process.arch, cpus()[0]?.model];
  const { sha256: weights, mean, std } = backbone;
  const { compile, ...described } = prefix;
  return withWeightFile(async (sink) => {
    const program = compile(sink);
    const graph = sha256(withoutName(program, sink.path));
    const identity = sha256(JSON.stringify([RECORD_VERSION, engine, graph, weights, mean, std]));
    if (loaded?.identity === identity) return loaded;
    return { prefix: described, model: { backbone }, session: await runtime.load(program), identity };
  });
}

/** The model without the name of a temporary file, which is another one each time; what it holds follows from the weights. */
function withoutName({ model, files }: Program, path: string): Uint8Array {
  const location = files.find((file) => file.path === path)?.location;
  return location === undefined
    ? model
    : Buffer.from(Buffer.from(model).toString('latin1').replaceAll(location, ''), 'latin1');
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
  /** Folder for files that later runs use as well; null: what does not fit into memory goes to a temporary file. */
  readonly folder: string | null;
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
 * @param storage null: keep nothing, for images that are looked at once
 */
export async function openPrefixStore(
  pixels: PixelStore,
  loaded: LoadedPrefix,
  storage: PrefixStorage | null,
): Promise<PrefixStore> {
  const shape: PrefixFileShape = {
    key: sha256(`${loaded.identity}:${pixels.pixelsKey}`),
    records: pixels.count,
    size: recordSize(loaded.prefix),
  };
  const kept = storage && new Kept(shape, storage);
  await kept?.open();
  const source = pixelInputs(pixels, loaded.model);

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
    const computed = await compute(loaded, source, [...missing, ...(kept?.unknown(padding, missing) ?? [])]);
    await kept?.keep(computed);
    for (const [index, record] of computed) found.set(index, record);
    return found;
  };
  const read = async (indices: readonly number[]) => {
    const found = await fetch(indices);
    return gather(
      loaded.prefix,
      indices.map((index) => found.get(index)!),
    );
  };
  const prepare = async (indices: readonly number[]): Promise<void> => {
    if (kept) await fetch(indices.filter((index) => !kept.knows(index)));
  };
  return { count: pixels.count, labels: pixels.labels, read, prepare, close: async () => kept?.close() };
}

/** Runs the prefix on these images; the last call is filled up with its last image. */
async function compute(
  { prefix, session }: LoadedPrefix,
  source: ModelInputs,
  indices: readonly number[],
): Promise<[number, Float32Array][]> {
  const computed: [number, Float32Array][] = [];
  for (let start = 0; start < indices.length; start += prefix.batch) {
    const part = indices.slice(start, start + prefix.batch);
    const filled = Array.from({ length: prefix.batch }, (_, i) => part[Math.min(i, part.length - 1)]!);
    const outputs = await session.run(await source.read(filled));
    for (const [row, index] of part.entries()) computed.push([index, toRecord(prefix, outputs, row)]);
  }
  return computed;
}

/** Float32 numbers that one image leaves. */
const recordSize = ({ tensors }: Pick<Prefix, 'tensors'>): number =>
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
  private firstUnknown = 0;

  constructor(
    private readonly shape: PrefixFileShape,
    private readonly storage: PrefixStorage,
  ) {
    this.known = new Uint8Array(shape.records);
  }

  /** Takes up what an earlier run left. */
  async open(): Promise<void> {
    if (this.storage.folder !== null) await this.openFile();
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
    const writes = records.filter(([index, record]) => !this.hold(index, record) || this.storage.folder !== null);
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
      this.file = await openPrefixFile(this.storage.folder, this.shape);
    } catch (error) {
      this.giveUp(error as Error);
    }
  }

  private giveUp(error: NodeJS.ErrnoException): void {
    this.writable = false;
    const where = this.storage.folder ?? 'the temporary folder';
    const what = `${where}: cannot keep what the frozen part of the model computes (${error.message})`;
    this.storage.onProblem(
      `${what}; what does not fit into memory is computed in every epoch. Free space, choose another --cache-dir or raise --prefix-memory`,
    );
  }
}

const sha256 = (content: string | Uint8Array) => createHash('sha256').update(content).digest('hex');
