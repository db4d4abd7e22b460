/**
 * The runtime of Node.
 *
 * A session's `run` blocks whatever thread it is called on, so sessions live in workers and the thread of the caller stays
 * free for progress bars, signals and servers; unless it asks to answer itself.
 */
import { cpus, tmpdir } from 'node:os';
import { Worker } from 'node:worker_threads';
import { IdatError } from '../../errors.js';
import { removeAbandoned } from '../../files/node/abandoned.js';
import { packageFile } from '../../files/node/package-root.js';
import { usableCores } from '../../files/node/usable-cores.js';
import type { Program } from '../../graph/emit.js';
import { checkFeeds, replicated } from '../copies.js';
import type { ProfiledRun } from '../kernel-times.js';
import {
  type Compile,
  type Device,
  formsOf,
  type ProfiledSession,
  type Provider,
  type Runtime,
  type Session,
} from '../runtime.js';
import { checkWebGpu } from './check-webgpu.js';
import type { Reply, Request, RunOutcome } from './protocol.js';
import { onnxruntimeVersion } from './versions.js';
import { withWeightFile } from './weight-file.js';

/** What killed processes left in the temporary folder is looked for once. */
let tidied: Promise<void> | undefined;

/** Starts a runtime, and closes it when `action` has ended. @throws IdatError as `startRuntime` */
export async function withRuntime<T>(
  { device, threads }: { readonly device: Device; readonly threads?: number | undefined },
  action: (runtime: Runtime) => Promise<T>,
): Promise<T> {
  const runtime = await startRuntime({ device, ...(threads !== undefined && { threads }) });
  try {
    return await action(runtime);
  } finally {
    await runtime.close();
  }
}

/**
 * Starts a runtime, in a worker thread of its own where nothing else is asked for.
 *
 * @param device `auto` takes CUDA where the installed runtime has it and the CPU otherwise
 * @param threads threads for one operation; default: as many as there are cores for this process. Results are the same bytes for the
 *   same number of threads.
 * @param worker false: in the thread of the caller, which each run blocks, and which nothing has to be handed to; one replica only
 * @throws IdatError `runtime.device` when the device is not to be had; `runtime.missing` without onnxruntime-node,
 *   `runtime.unloadable` where its library does not load
 */
export async function startRuntime(
  options: { device?: Device; threads?: number; worker?: boolean } = {},
): Promise<Runtime> {
  const { device = 'auto', threads = usableCores(), worker = true } = options;
  onnxruntimeVersion();
  tidied ??= removeAbandoned(tmpdir(), /^idat-(weights|profile)-/);
  await tidied;
  keepToItself();
  if (device === 'webgpu') await checkWebGpu();
  const workers = new Workers(device, worker ? async () => new RpcWorker() : callerThread);
  try {
    return runtimeOf(workers, await workers.start(), threads, 1);
  } catch (error) {
    await workers.close();
    throw error;
  }
}

function runtimeOf(workers: Workers, device: Provider, threads: number, replicas: number): Runtime {
  return {
    engine: { onnxruntime: onnxruntimeVersion(), arch: process.arch, cpu: cpus()[0]?.model },
    device,
    threads,
    replicas,
    withThreads: (count, copies = 1) => runtimeOf(workers, device, count, copies),
    load: (async (compile: Compile<Program | null>) =>
      withWeightFile(async (sink) => {
        const program = await compile(sink);
        return program && loadCopies(await workers.first(replicas), program, threads);
      }, formsOf(device))) as Runtime['load'],
    loadProfiled: (compile) =>
      withWeightFile(
        async (sink) => load((await workers.first(1))[0]!, await compile(sink), threads, true),
        formsOf(device),
      ),
    close: () => workers.close(),
  };
}

async function loadCopies(workers: readonly Connection[], program: Program, threads: number): Promise<Session> {
  const loaded: ProfiledSession[] = [];
  try {
    for (const worker of workers) loaded.push(await load(worker, program, threads, false));
  } catch (error) {
    for (const session of loaded) await session.close();
    throw error;
  }
  return loaded.length === 1 ? loaded[0]! : replicated(loaded);
}

async function load(worker: Connection, program: Program, threads: number, profile: boolean): Promise<ProfiledSession> {
  const session = (await worker.call({ kind: 'load', program, threads, profile })) as number;
  const spent = { calls: 0, ms: 0 };
  return {
    atOnce: 1,
    run: async (feeds, shapes = {}) => {
      checkFeeds(program.inputs, feeds, shapes);
      const { outputs, ms } = (await worker.call({ kind: 'run', session, feeds, shapes })) as RunOutcome;
      spent.calls++;
      spent.ms += ms;
      return outputs;
    },
    spent: () => ({ ...spent }),
    kernelTimes: async () => (await worker.call({ kind: 'kernelTimes', session })) as ProfiledRun[],
    close: async () => {
      await worker.call({ kind: 'release', session });
    },
  };
}

/** What answers requests: a worker, or the thread of the caller. */
interface Connection {
  call(request: Request): Promise<unknown>;
  close(): Promise<void>;
}

/** The workers of a runtime, started when they are first needed. */
class Workers {
  private readonly started: Connection[] = [];

  constructor(
    private readonly device: Device,
    private readonly open: () => Promise<Connection>,
  ) {}

  /** Starts one more. @returns its device */
  async start(): Promise<Provider> {
    const worker = await this.open();
    this.started.push(worker);
    return (await worker.call({ kind: 'start', device: this.device })) as Provider;
  }

  async first(count: number): Promise<Connection[]> {
    while (this.started.length < count) await this.start();
    return this.started.slice(0, count);
  }

  async close(): Promise<void> {
    for (const worker of this.started) await worker.close();
  }
}

/**
 * ONNX Runtime 1.30 tells its maker of every use, and leaves an identifier and logs in the home and temporary folders. It
 * reads whether it may when it is loaded, from the environment of the process: a worker's own is a copy, so that it would
 * be too late there. Whoever has set the variable has chosen.
 */
function keepToItself(): void {
  process.env.ORT_DISABLE_TELEMETRY ??= '1';
}

/** A worker that ends before it has answered once could not load the runtime's library. */
const unloadable = (cause: Error): IdatError =>
  new IdatError(
    'runtime.unloadable',
    `ONNX Runtime does not load on this ${process.platform} ${process.arch}: ${cause.message.split('\n', 1)[0]} (idat's docs/install.md ` +
      'lists the systems it is made for)',
    { cause },
  );

async function callerThread(): Promise<Connection> {
  const { openEngine } = await import('./engine.js').catch((error: unknown) => {
    throw unloadable(error as Error);
  });
  const answer = openEngine();
  let ended = false;
  return {
    call: async (request) => {
      if (ended) throw closed();
      return (await answer(request)).value;
    },
    close: async () => {
      if (!ended) await answer({ kind: 'stop' });
      ended = true;
    },
  };
}

const closed = (): IdatError => new IdatError('runtime.ended', 'the runtime has been closed');

/** Requests to a worker and their answers, matched by number. */
class RpcWorker implements Connection {
  private readonly worker: Worker;
  private readonly waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  private next = 0;
  private ended: Error | undefined;

  constructor() {
    keepToItself();
    // From TypeScript sources (tests), the compiled worker of the last build is used.
    this.worker = new Worker(packageFile('dist/runtime/node/worker.js'));
    let speaks = false;
    this.worker.on('message', (reply: Reply) => {
      speaks = true;
      const { resolve, reject } = this.waiting.get(reply.id)!;
      this.waiting.delete(reply.id);
      if (this.waiting.size === 0) this.worker.unref();
      if ('error' in reply) reject(new IdatError(reply.code, reply.error));
      else resolve(reply.value);
    });
    this.worker.on('error', (error) => this.fail(speaks ? (error as Error) : unloadable(error as Error)));
    this.worker.on('exit', () => this.fail(closed()));
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
    this.ended = closed();
    await this.worker.terminate();
  }

  private fail(error: Error): void {
    this.ended ??= error;
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }
}
