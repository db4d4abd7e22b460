/**
 * Running programs: what the rest of idat sees of the engine underneath.
 *
 * A session's `run` blocks whatever thread it is called on, so sessions live in a worker and the thread of the caller
 * stays free for progress bars, signals and servers.
 */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { IdatError } from '../errors.js';
import type { Program } from '../graph/emit.js';
import { formatShape, size, type TensorType } from '../graph/tensor.js';
import type { ProfiledRun } from './kernel-times.js';
import type { Provider, Reply, Request } from './worker.js';

export const DEVICES = ['auto', 'cpu', 'cuda', 'webgpu'] as const;
export type Device = (typeof DEVICES)[number];

export type Feed = Float32Array | BigInt64Array | Uint8Array;

export interface Session {
  /**
   * Runs the program once.
   * @param feeds one typed array for each input, row-major
   * @returns each output's numbers
   */
  run(feeds: Readonly<Record<string, Feed>>): Promise<Record<string, Float32Array>>;
  /** Frees the session's memory. */
  close(): Promise<void>;
}

/** A session that records how long each kernel takes, which slows it down a little. */
export interface ProfiledSession extends Session {
  /** Ends the recording: one entry for each run so far. */
  kernelTimes(): Promise<ProfiledRun[]>;
}

export interface Runtime {
  readonly device: Provider;
  readonly threads: number;
  /** The same runtime with another number of threads for what it loads from now on. */
  withThreads(threads: number): Runtime;
  /** Makes a program ready to run. */
  load(program: Program): Promise<Session>;
  /** As `load`, under the runtime's own profiler. */
  loadProfiled(program: Program): Promise<ProfiledSession>;
  /** Ends the worker and everything loaded in it. */
  close(): Promise<void>;
}

/**
 * Starts a runtime in a worker thread.
 *
 * @param device `auto` takes CUDA where the installed runtime has it and the CPU otherwise
 * @param threads threads for one operation; default: as many as there are cores. Results are the same bytes for the
 *   same number of threads.
 * @throws IdatError `runtime.device` when the device is not to be had
 */
export async function startRuntime(options: { device?: Device; threads?: number } = {}): Promise<Runtime> {
  const { device = 'auto', threads = availableParallelism() } = options;
  const worker = new RpcWorker();
  try {
    return runtimeOf(worker, (await worker.call({ kind: 'start', device })) as Provider, threads);
  } catch (error) {
    await worker.close();
    throw error;
  }
}

function runtimeOf(worker: RpcWorker, device: Provider, threads: number): Runtime {
  const load = async (program: Program, profile: boolean): Promise<ProfiledSession> => {
    const session = (await worker.call({ kind: 'load', program, threads, profile })) as number;
    return {
      run: async (feeds) => {
        checkFeeds(program.inputs, feeds);
        return (await worker.call({ kind: 'run', session, feeds })) as Record<string, Float32Array>;
      },
      kernelTimes: async () => (await worker.call({ kind: 'kernelTimes', session })) as ProfiledRun[],
      close: async () => {
        await worker.call({ kind: 'release', session });
      },
    };
  };
  return {
    device,
    threads,
    withThreads: (count) => runtimeOf(worker, device, count),
    load: (program) => load(program, false),
    loadProfiled: (program) => load(program, true),
    close: () => worker.close(),
  };
}

function checkFeeds(inputs: Readonly<Record<string, TensorType>>, feeds: Readonly<Record<string, Feed>>): void {
  for (const [name, { shape }] of Object.entries(inputs)) {
    const length = feeds[name]?.length;
    if (length !== size(shape)) {
      throw new IdatError(
        'runtime.feed',
        `input '${name}' needs ${size(shape)} numbers for shape ${formatShape(shape)}, got ${length ?? 'none'}`,
      );
    }
  }
}

/** Requests to the worker and their answers, matched by number. */
class RpcWorker {
  private readonly worker: Worker;
  private readonly waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  private next = 0;
  private ended: Error | undefined;

  constructor() {
    // From TypeScript sources (tests), the compiled worker of the last build is used.
    const url = new URL(
      import.meta.url.endsWith('.ts') ? '../../dist/runtime/worker.js' : './worker.js',
      import.meta.url,
    );
    this.worker = new Worker(url);
    this.worker.on('message', (reply: Reply) => {
      const { resolve, reject } = this.waiting.get(reply.id)!;
      this.waiting.delete(reply.id);
      if (this.waiting.size === 0) this.worker.unref();
      if ('error' in reply) reject(new IdatError(reply.code, reply.error));
      else resolve(reply.value);
    });
    this.worker.on('error', (error) => this.fail(error as Error));
    this.worker.on('exit', () => this.fail(new IdatError('runtime.ended', 'the runtime has been closed')));
    this.worker.unref();
  }

  call(request: Request): Promise<unknown> {
    if (this.ended) return Promise.reject(this.ended);
    return new Promise((resolve, reject) => {
      const id = this.next++;
      this.waiting.set(id, { resolve, reject });
      this.worker.ref();
      this.worker.postMessage({ id, ...request });
    });
  }

  async close(): Promise<void> {
    if (this.ended) return;
    await this.call({ kind: 'stop' });
    this.ended = new IdatError('runtime.ended', 'the runtime has been closed');
    await this.worker.terminate();
  }

  private fail(error: Error): void {
    this.ended ??= error;
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }
}
