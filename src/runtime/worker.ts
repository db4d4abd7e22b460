/**
 * The worker in which ONNX Runtime runs. The only file that imports it.
 */
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, parse } from 'node:path';
import { parentPort } from 'node:worker_threads';
import { InferenceSession, listSupportedBackends, Tensor } from 'onnxruntime-node';
import type { Program } from '../graph/emit.js';
import type { Device, Feed } from './runtime.js';

export type Provider = Exclude<Device, 'auto'>;

export type Request =
  | { kind: 'start'; device: Device; threads: number }
  | { kind: 'load'; program: Program }
  | { kind: 'run'; session: number; feeds: Readonly<Record<string, Feed>> }
  | { kind: 'release'; session: number }
  | { kind: 'stop' };

export type Reply = { id: number; value: unknown } | { id: number; code: string; error: string };

interface Loaded {
  readonly session: InferenceSession;
  readonly program: Program;
}

let provider: Provider = 'cpu';
let threads = 1;
let nextSession = 0;
const sessions = new Map<number, Loaded>();

async function handle(request: Request): Promise<{ value: unknown; transfer?: ArrayBuffer[] }> {
  switch (request.kind) {
    case 'start':
      threads = request.threads;
      provider = chooseProvider(request.device);
      return { value: provider };
    case 'load': {
      const id = nextSession++;
      sessions.set(id, { session: await load(request.program), program: request.program });
      return { value: id };
    }
    case 'run':
      return run(sessions.get(request.session)!, request.feeds);
    case 'release': {
      await sessions.get(request.session)?.session.release();
      sessions.delete(request.session);
      return { value: null };
    }
    case 'stop': {
      for (const { session } of sessions.values()) await session.release();
      sessions.clear();
      return { value: null };
    }
  }
}

function chooseProvider(device: Device): Provider {
  if (device === 'auto') return hasCuda() ? 'cuda' : 'cpu';
  const listed = listSupportedBackends().map((backend) => backend.name);
  if (device === 'cpu' || (listed.includes(device) && (device !== 'cuda' || hasCuda()))) return device;
  const hint =
    device === 'cuda'
      ? ' (its install script fetches CUDA: npm rebuild onnxruntime-node without onnxruntime-node-install=skip)'
      : '';
  throw Object.assign(
    new Error(`--device ${device}: the installed ONNX Runtime has no ${device} provider${hint}; use --device cpu`),
    { code: 'runtime.device' },
  );
}

/** The package lists CUDA wherever it could be had; it is there only when its library lies beside the binding. */
function hasCuda(): boolean {
  const entry = createRequire(import.meta.url).resolve('onnxruntime-node');
  const bin = join(dirname(entry), '..', 'bin');
  if (!existsSync(bin)) return false;
  const here = join(process.platform, process.arch);
  return readdirSync(bin).some((version) =>
    ['libonnxruntime_providers_cuda.so', 'onnxruntime_providers_cuda.dll'].some((name) =>
      existsSync(join(bin, version, here, name)),
    ),
  );
}

async function load(program: Program): Promise<InferenceSession> {
  // Weights are read from where they lie: the model names them relative to the root of the file system.
  const root = program.files[0] ? parse(program.files[0].path).root : '/';
  try {
    return await InferenceSession.create(program.model, {
      executionProviders: [provider],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
      logSeverityLevel: 3,
      extra: { session: { model_external_initializers_file_folder_path: root } },
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw Object.assign(new Error(`ONNX Runtime could not load the graph on ${provider}: ${reason}`), {
      code: provider === 'cpu' ? 'runtime.load' : 'runtime.device',
    });
  }
}

async function run({ session, program }: Loaded, feeds: Readonly<Record<string, Feed>>) {
  const inputs: Record<string, Tensor> = {};
  for (const [name, { shape, dtype }] of Object.entries(program.inputs)) {
    inputs[name] = new Tensor(dtype, feeds[name]!, shape);
  }
  const outputs = await session.run(inputs);
  const value: Record<string, Float32Array> = {};
  const transfer: ArrayBuffer[] = [];
  for (const name of Object.keys(program.outputs)) {
    const data = outputs[name]!.data as Float32Array;
    value[name] = data;
    transfer.push(data.buffer as ArrayBuffer);
  }
  return { value, transfer };
}

parentPort!.on('message', async ({ id, ...request }: { id: number } & Request) => {
  try {
    const { value, transfer } = await handle(request);
    parentPort!.postMessage({ id, value } satisfies Reply, transfer ?? []);
  } catch (error) {
    const { message, code } = error as Error & { code?: string };
    parentPort!.postMessage({ id, code: code ?? 'runtime.run', error: message } satisfies Reply);
  }
});
