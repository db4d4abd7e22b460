/**
 * What a model's frozen prefix computes, once for each image of a split and then at hand for every epoch.
 */
import { createHash } from 'node:crypto';
import { cpus } from 'node:os';
import type { PixelStore } from '../data/index.js';
import { size } from '../graph/tensor.js';
import type { Runtime, Session } from '../runtime/runtime.js';
import { type BatchInputs, type ModelInputs, pixelInputs } from './inputs.js';
import { newRecord, openPrefixFile, type PrefixFile, type PrefixFileShape, recordBytes } from './prefix-file.js';
import type { ModelSpec, Prefix } from './step.js';

/** Raised whenever records of the same key would hold other numbers, or the same in another order. */
const RECORD_VERSION = 1;

/** A prefix ready to run. */
export interface LoadedPrefix {
  readonly prefix: Prefix;
  readonly model: Pick<ModelSpec, 'backbone'>;
  readonly session: Session;
  /** sha256 over all that decides its results but the images. */
  readonly identity: string;
}

/** Loads a prefix. @param onnxruntime the version of the runtime, part of the identity */
export async function loadPrefix(
  runtime: Runtime,
  { backbone }: Pick<ModelSpec, 'backbone'>,
  prefix: Prefix,
  onnxruntime: string,
): Promise<LoadedPrefix> {
  // threads and processor decide in which order the runtime adds
  const engine = [onnxruntime, runtime.device, runtime.threads, process.arch, cpus()[0]?.model];
  const { sha256: weights, mean, std } = backbone;
  const identity = sha256(JSON.stringify([RECORD_VERSION, engine, sha256(prefix.program.model), weights, mean, std]));
  return { prefix, model: { backbone }, session: await runtime.load(prefix.program), identity };
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
  const sizes = loaded.prefix.tensors.map(({ shape }) => size(shape));
  const shape: PrefixFileShape = {
    key: sha256(`${loaded.identity}:${pixels.pixelsKey}`),
    records: pixels.count,
    size: sizes.reduce((sum, n) => sum + n, 0),
  };
  const kept = storage && new Kept(shape, storage);
  await kept?.open();
  const source = pixelInputs(pixels, loaded.model);

  const read = async (indices: readonly number[]): Promise<BatchInputs> => {
    const found = new Map<number, Float32Array>();
    const absent = [...new Set(indices)].filter((index) => {
      const record = kept?.held(index);
      if (record) found.set(index, record);
      return !record;
    });
    if (absent.length > 0) {
      for (const [index, record] of (await kept?.readAll(absent)) ?? []) found.set(index, record);
      const missing = absent.filter((index) => !found.has(index));
      for (const [index, record] of await compute(loaded, source, missing)) found.set(index, record);
      await kept?.keep(missing.map((index) => [index, found.get(index)!]));
    }
    return {
      at: (positions) =>
        gather(
          loaded.prefix,
          sizes,
          positions.map((position) => found.get(indices[position]!)!),
        ),
    };
  };
  return { count: pixels.count, labels: pixels.labels, read, close: async () => kept?.close() };
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
    const positions = Array.from({ length: prefix.batch }, (_, i) => Math.min(i, part.length - 1));
    const outputs = await session.run((await source.read(part)).at(positions));
    for (const [row, index] of part.entries()) computed.push([index, toRecord(prefix, outputs, row)]);
  }
  return computed;
}

/** One image's results, one tensor after the other. */
function toRecord({ tensors }: Prefix, outputs: Readonly<Record<string, Float32Array>>, row: number): Float32Array {
  const sizes = tensors.map(({ shape }) => size(shape));
  const record = newRecord(sizes.reduce((sum, n) => sum + n, 0));
  let offset = 0;
  tensors.forEach(({ name }, i) => {
    const length = sizes[i]!;
    record.set(outputs[name]!.subarray(row * length, (row + 1) * length), offset);
    offset += length;
  });
  return record;
}

/** The counterpart of `toRecord` for several images: each tensor [images, …]. */
function gather({ tensors }: Prefix, sizes: readonly number[], records: readonly Float32Array[]) {
  const inputs: Record<string, Float32Array> = {};
  let offset = 0;
  tensors.forEach(({ name }, i) => {
    const length = sizes[i]!;
    const rows = new Float32Array(records.length * length);
    records.forEach((record, row) => {
      rows.set(record.subarray(offset, offset + length), row * length);
    });
    inputs[name] = rows;
    offset += length;
  });
  return inputs;
}

/** Records at hand: the first ones in memory, up to the budget, the others (with a folder, all) in a file. */
class Kept {
  private readonly memory = new Map<number, Float32Array>();
  private file: PrefixFile | null = null;
  /** After the first problem nothing more is written; what was written is still read. */
  private writable = true;

  constructor(
    private readonly shape: PrefixFileShape,
    private readonly storage: PrefixStorage,
  ) {}

  /** Takes up what an earlier run left. */
  async open(): Promise<void> {
    if (this.storage.folder !== null) await this.openFile();
  }

  held(index: number): Float32Array | undefined {
    return this.memory.get(index);
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
    if (!this.writable) return;
    this.writable = false;
    const where = this.storage.folder ?? 'the temporary folder';
    const what = `${where}: cannot keep what the frozen part of the model computes (${error.message})`;
    this.storage.onProblem(
      `${what}; what does not fit into memory is computed in every epoch. Free space, choose another --cache-dir or raise --prefix-memory`,
    );
  }
}

const sha256 = (content: string | Uint8Array) => createHash('sha256').update(content).digest('hex');
