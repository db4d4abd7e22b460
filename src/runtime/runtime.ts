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
  /** How many runs to begin before the first has ended: one for each copy of the program and, of several, one to follow. */
  readonly atOnce: number;
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
  readonly replicas: number;
  /**
   * The same runtime with other threads for what it loads from now on.
   * @param replicas copies of each program that run at the same time, each on so many threads. Small programs gain much
   *   by it, as whole runs divide better among cores than single operations; weights are held once for each.
   */
  withThreads(threads: number, replicas?: number): Runtime;
  /** Makes a program ready to run. */
  load(program: Program): Promise<Session>;
  /** As `load`, under the runtime's own profiler and once, whatever the replicas. */
  loadProfiled(program: Program): Promise<ProfiledSession>;
  /** Ends the workers and everything loaded in them. */
  close(): Promise<void>;
}

/**
 * Starts a runtime in a worker thread of its own.
 *
 * @param device `auto` takes CUDA where the installed runtime has it and the CPU otherwise
 * @param threads threads for one operation; default: as many as there are cores. Results are the same bytes for the
 *   same number of threads.
 * @throws IdatError `runtime.device` when the device is not to be had
 */
export async function startRuntime(options: { device?: Device; threads?: number } = {}): Promise<Runtime> {
  const { device = 'auto', threads = availableParallelism() } = options;
  const workers = new Workers(device);
  try {
    return runtimeOf(workers, await workers.start(), threads, 1);
  } catch (error) {
    await workers.close();
    throw error;
  }
}

function runtimeOf(workers: Workers, device: Provider, threads: number, replicas: number): Runtime {
  return {
    device,
    threads,
    replicas,
    withThreads: (count, copies = 1) => runtimeOf(workers, device, count, copies),
    load: async (program) => {
      const loaded: ProfiledSession[] = [];
      try {
        for (const worker of await workers.first(replicas)) loaded.push(await load(worker, program, threads, false));
      } catch (error) {
        for (const session of loaded) await session.close();
        throw error;
      }
      return loaded.length === 1 ? loaded[0]! : replicated(loaded);
    },
    loadProfiled: async (program) => load((await workers.first(1))[0]!, program, threads, true),
    close: () => workers.close(),
  };
}

async function load(worker: RpcWorker, program: Program, threads: number, profile: boolean): Promise<ProfiledSession> {
  const session = (await worker.call({ kind: 'load', program, threads, profile })) as number;
  return {
    atOnce: 1,
    run: async (feeds) => {
      checkFeeds(program.inputs, feeds);
      return (await worker.call({ kind: 'run', session, feeds })) as Record<string, Float32Array>;
    },
    kernelTimes: async () => (await worker.call({ kind: 'kernelTimes', session })) as ProfiledRun[],
    close: async () => {
      await worker.call({ kind: 'release', session });
    },
  };
}

/** Each run goes to the copy with the fewest. */
function replicated(copies: readonly Session[]): Session {
  const busy = copies.map(() => 0);
  return {
    atOnce: copies.length + 1,
    run: async (feeds) => {
      const at = busy.indexOf(Math.min(...busy));
      busy[at]!++;
      try {
        return await copies[at]!.run(feeds);
      } finally {
        busy[at]!--;
      }
    },
    close: async () => {
      for (const copy of copies) await copy.close();
    },
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

/** The workers of a runtime, started when they are first needed. */
class Workers {
  private readonly started: RpcWorker[] = [];

  constructor(private readonly device: Device) {}

  /** Starts one more. @returns its device */
  async start(): Promise<Provider> {
    const worker = new RpcWorker();
    this.started.push(worker);
    return (await worker.call({ kind: 'start', device: this.device })) as Provider;
  }

  async first(count: number): Promise<RpcWorker[]> {
    while (this.started.length < count) await this.start();
    return this.started.slice(0, count);
  }

  async close(): Promise<void> {
    for (const worker of this.started) await worker.close();
  }
}

/** Requests to a worker and their answers, matched by number. */
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
