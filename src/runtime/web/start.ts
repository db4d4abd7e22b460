/**
 * The runtime of a browser tab: ONNX Runtime for the Web in Workers of one thread each, which run without the headers that
 * isolate a page. Several of them are replicas.
 */
import { IdatError } from '../../errors.js';
import type { Program } from '../../graph/emit.js';
import { checkFeeds, replicated } from '../copies.js';
import type { Compile, Device, Engine, Runtime, Session } from '../runtime.js';
import type { Connection, RunOutcome } from './protocol.js';
import { computedWeights } from './weights.js';

export interface WebRuntimeOptions {
  /** Opens one more engine: a Worker, or one in the same thread. */
  readonly connect: () => Connection;
  /** The bytes of the files that programs refer to, by the path the backbones have. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly device?: Device;
}

/**
 * Starts the runtime with one engine.
 * @throws IdatError `runtime.device` for a device that a tab does not have; `runtime.unloadable`
 */
export async function startWebRuntime(options: WebRuntimeOptions): Promise<Runtime> {
  const { device = 'auto' } = options;
  if (device !== 'auto' && device !== 'cpu') {
    const what = `device ${device}: idat trains on the processor in a browser tab`;
    throw new IdatError('runtime.device', `${what}; the device cpu is always there`);
  }
  const engines = new Engines(options);
  try {
    const onnxruntime = await engines.start();
    return runtimeOf(engines, { onnxruntime, arch: 'wasm32', cpu: undefined }, 1);
  } catch (error) {
    engines.close();
    throw error;
  }
}

function runtimeOf(engines: Engines, engine: Engine, replicas: number): Runtime {
  return {
    engine,
    device: 'cpu',
    threads: 1,
    replicas,
    withThreads: (_, copies = 1) => runtimeOf(engines, engine, copies),
    load: (async (compile: Compile<Program | null>) => {
      const sink = computedWeights();
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
  const loaded: Session[] = [];
  try {
    for (const connection of connections) {
      await engines.give(connection, program);
      loaded.push(await load(connection, program, bytes && { path, bytes }));
    }
  } catch (error) {
    for (const session of loaded) await session.close();
    throw error;
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
  private readonly given = new Map<Connection, Set<string>>();

  constructor(private readonly options: WebRuntimeOptions) {}

  /** Starts one more. @returns its version */
  async start(): Promise<string> {
    const connection = this.options.connect();
    this.started.push(connection);
    this.given.set(connection, new Set());
    return (await connection.call({ kind: 'start' })) as string;
  }

  async first(count: number): Promise<Connection[]> {
    while (this.started.length < count) await this.start();
    return this.started.slice(0, count);
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
