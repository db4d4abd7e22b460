/**
 * The runtime of a browser tab: ONNX Runtime for the Web in Workers of one thread each, which run without the headers that
 * isolate a page. Several of them are replicas.
 */
import { IdatError } from '../../errors.js';
import type { Program } from '../../graph/emit.js';
import { checkFeeds, replicated } from '../copies.js';
import {
  type Compile,
  type Device,
  type Engine,
  formsOf,
  type Provider,
  type Runtime,
  type Session,
} from '../runtime.js';
import type { Connection, RunOutcome } from './protocol.js';
import { computedWeights } from './weights.js';

export interface WebRuntimeOptions {
  /** Opens one more engine: a Worker, or one in the same thread. */
  readonly connect: () => Connection;
  /** The bytes of the files that programs refer to, by the path the backbones have. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly device?: Device;
  /** Address of onnxruntime-web's files, which WebGPU needs. */
  readonly onnxruntime?: string | undefined;
  /** What is run first, so that the engine gets ready, and is known to compute rightly. Devices other than `cpu` need it (`checkMoves`). */
  readonly check?: (runtime: Runtime) => Promise<void>;
}

/**
 * Starts the runtime with one engine.
 * @throws IdatError `runtime.device` for a device that the tab does not have, or that computes wrong numbers; `runtime.unloadable`
 */
export async function startWebRuntime(options: WebRuntimeOptions): Promise<Runtime> {
  const { device: asked = 'auto' } = options;
  if (asked === 'cuda') {
    const what = 'device cuda: a browser tab has the processor and WebGPU';
    throw new IdatError('runtime.device', `${what}; the device cpu is always there`);
  }
  const device = asked === 'auto' ? 'cpu' : asked;
  if (device !== 'cpu' && !options.check) throw new Error(`device ${device} is not used unchecked`);
  const engines = new Engines(options, device);
  try {
    const onnxruntime = await engines.start();
    const runtime = runtimeOf(engines, { onnxruntime, arch: 'wasm32', cpu: undefined }, device, 1);
    await options.check?.(runtime);
    return runtime;
  } catch (error) {
    engines.close();
    throw error;
  }
}

function runtimeOf(engines: Engines, engine: Engine, device: Provider, replicas: number): Runtime {
  return {
    engine,
    device,
    threads: 1,
    replicas,
    withThreads: (_, copies = 1) => runtimeOf(engines, engine, device, copies),
    load: (async (compile: Compile<Program | null>) => {
      const sink = computedWeights(formsOf(device));
      const program = await compile(sink);
      return program && loadCopies(engines, await engines.first(replicas), program, sink.bytes(), sink.path);
    }) as Runtime['load'],
    loadProfiled: async () => {
      throw new IdatError('runtime.profile', 'ONNX Runtime for the Web has no profiler; profile the run in a terminal');
    },
    close: async () => engines.close(),
  };
}

async function loadCopies(
  engines: Engines,
  connections: readonly Connection[],
  program: Program,
  bytes: Uint8Array | null,
  path: string,
): Promise<Session> {
  // in several Workers at a time, as each is busy with its own
  const loading = connections.map(async (connection) => {
    await engines.give(connection, program);
    return load(connection, program, bytes && { path, bytes });
  });
  const outcomes = await Promise.allSettled(loading);
  const loaded = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed) {
    for (const session of loaded) await session.close();
    throw failed.reason;
  }
  return loaded.length === 1 ? loaded[0]! : replicated(loaded);
}

async function load(
  connection: Connection,
  program: Program,
  computed: { path: string; bytes: Uint8Array } | null,
): Promise<Session> {
  const session = (await connection.call({ kind: 'load', program, computed })) as number;
  const spent = { calls: 0, ms: 0 };
  return {
    atOnce: 1,
    run: async (feeds, shapes = {}) => {
      checkFeeds(program.inputs, feeds, shapes);
      const { outputs, ms } = (await connection.call({ kind: 'run', session, feeds, shapes })) as RunOutcome;
      spent.calls++;
      spent.ms += ms;
      return outputs;
    },
    spent: () => ({ ...spent }),
    close: async () => {
      await connection.call({ kind: 'release', session });
    },
  };
}

/** The engines of a runtime, started when they are first needed, and which files each has. */
class Engines {
  private readonly started: Connection[] = [];
  /** The same, each when it has answered. */
  private readonly ready: Promise<Connection>[] = [];
  private readonly given = new Map<Connection, Set<string>>();

  constructor(
    private readonly options: WebRuntimeOptions,
    private readonly device: Provider,
  ) {}

  /** Starts one more. @returns its version */
  async start(): Promise<string> {
    const connection = this.options.connect();
    this.started.push(connection);
    this.given.set(connection, new Set());
    const { device } = this;
    const version = connection.call({ kind: 'start', device, onnxruntime: this.options.onnxruntime });
    const ready = version.then(() => connection);
    ready.catch(() => {}); // told below
    this.ready.push(ready);
    return (await version) as string;
  }

  async first(count: number): Promise<Connection[]> {
    const missing = Math.max(0, count - this.started.length);
    await Promise.all(Array.from({ length: missing }, () => this.start()));
    return Promise.all(this.ready.slice(0, count));
  }

  /** Hands over the files of a program that the engine does not have yet. */
  async give(connection: Connection, { files }: Program): Promise<void> {
    const given = this.given.get(connection)!;
    for (const { path } of files) {
      const bytes = this.options.files.get(path);
      if (!bytes || given.has(path)) continue;
      await connection.call({ kind: 'file', path, bytes });
      given.add(path);
    }
  }

  close(): void {
    for (const connection of this.started) connection.close();
    this.started.length = 0;
  }
}
