/** ONNX Runtime for Node. The only file that imports it, but for the program that tries out WebGPU. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, parse } from 'node:path';
import { InferenceSession, listSupportedBackends, Tensor } from 'onnxruntime-node';
import { IdatError } from '../../errors.js';
import { identityText, thisProcess } from '../../files/node/process-identity.js';
import type { Program } from '../../graph/emit.js';
import { type ProfiledRun, readKernelTimes } from '../kernel-times.js';
import type { Device, Provider } from '../runtime.js';
import type { Request, RunOutcome } from './protocol.js';

interface Loaded {
  readonly session: InferenceSession;
  readonly program: Program;
  /** Where the runtime's profiler writes. */
  readonly profileFolder: string | null;
}

/** An answer, and what of it goes to another thread and is not copied. */
export interface Answer {
  readonly value: unknown;
  readonly transfer?: ArrayBuffer[];
}

/** @throws IdatError `runtime.…` */
export type Engine = (request: Request) => Promise<Answer>;

/** @returns an engine in the thread of the caller, which each run blocks */
export function openEngine(): Engine {
  let provider: Provider = 'cpu';
  let nextSession = 0;
  const sessions = new Map<number, Loaded>();
  const release = async (id: number): Promise<void> => {
    const { session, profileFolder } = sessions.get(id) ?? {};
    sessions.delete(id);
    await session?.release();
    if (profileFolder) rmSync(profileFolder, { recursive: true });
  };
  const answer: Engine = async (request) => {
    switch (request.kind) {
      case 'start':
        provider = chooseProvider(request.device);
        return { value: provider };
      case 'load': {
        const id = nextSession++;
        sessions.set(id, await load(provider, request));
        return { value: id };
      }
      case 'run':
        return run(sessions.get(request.session)!, request);
      case 'kernelTimes':
        return { value: kernelTimes(sessions.get(request.session)!) };
      case 'release':
        await release(request.session);
        return { value: null };
      case 'stop':
        for (const id of sessions.keys()) await release(id);
        return { value: null };
    }
  };
  return (request) =>
    answer(request).catch((error: unknown) => {
      throw error instanceof IdatError ? error : new IdatError('runtime.run', (error as Error).message);
    });
}

function chooseProvider(device: Device): Provider {
  if (device === 'auto') return hasCuda() ? 'cuda' : 'cpu';
  const listed = listSupportedBackends().map((backend) => backend.name);
  if (device === 'cpu' || (listed.includes(device) && (device !== 'cuda' || hasCuda()))) return device;
  const hint =
    device === 'cuda' ? ' (to fetch it on Linux x64: ONNXRUNTIME_NODE_INSTALL=true npm rebuild onnxruntime-node)' : '';
  throw new IdatError(
    'runtime.device',
    `device ${device}: the installed ONNX Runtime has no ${device} provider${hint}; the device cpu is always there`,
  );
}

/** A line of text stands for a library that was not fetched (install/without-cuda.js). */
const PLACEHOLDER_BYTES = 1000;

/** The package lists CUDA wherever it could be had; it is there only when its library lies beside the binding. */
function hasCuda(): boolean {
  const entry = createRequire(import.meta.url).resolve('onnxruntime-node');
  const bin = join(dirname(entry), '..', 'bin');
  if (!existsSync(bin)) return false;
  const here = join(process.platform, process.arch);
  return readdirSync(bin).some((version) =>
    ['libonnxruntime_providers_cuda.so', 'onnxruntime_providers_cuda.dll'].some(
      (name) => (statSync(join(bin, version, here, name), { throwIfNoEntry: false })?.size ?? 0) > PLACEHOLDER_BYTES,
    ),
  );
}

async function load(provider: Provider, { program, threads, profile }: Request & { kind: 'load' }): Promise<Loaded> {
  // Weights are read from where they lie: the model names them relative to the root of the file system.
  const root = program.files[0] ? parse(program.files[0].path).root : '/';
  const profileFolder = profile ? mkdtempSync(join(tmpdir(), `idat-profile-${identityText(thisProcess())}-`)) : null;
  try {
    const session = await InferenceSession.create(program.model, {
      executionProviders: [provider],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
      // one block planned for a whole run is much larger than what lives at any moment, and no faster for the step of training
      enableMemPattern: program.planned ?? false,
      logSeverityLevel: 3,
      ...(profileFolder !== null && { enableProfiling: true, profileFilePrefix: join(profileFolder, 'kernels') }),
      extra: { session: { model_external_initializers_file_folder_path: root } },
    });
    return { session, program, profileFolder };
  } catch (error) {
    if (profileFolder !== null) rmSync(profileFolder, { recursive: true });
    const reason = error instanceof Error ? error.message : String(error);
    throw new IdatError(
      provider === 'cpu' ? 'runtime.load' : 'runtime.device',
      `ONNX Runtime could not load the graph on ${provider}: ${reason}`,
    );
  }
}

/** Ends the session's profiler and reads what it wrote; the runtime chooses the file's name. */
function kernelTimes({ session, profileFolder }: Loaded): ProfiledRun[] {
  session.endProfiling();
  const [file] = readdirSync(profileFolder!);
  return readKernelTimes(readFileSync(join(profileFolder!, file!), 'utf8'));
}

async function run({ session, program }: Loaded, { feeds, shapes }: Request & { kind: 'run' }): Promise<Answer> {
  const inputs: Record<string, Tensor> = {};
  for (const [name, { shape, dtype }] of Object.entries(program.inputs)) {
    inputs[name] = new Tensor(dtype, feeds[name]!, shapes[name] ?? shape);
  }
  const began = performance.now();
  const outputs = await session.run(inputs);
  const ms = performance.now() - began;
  const value: Record<string, Float32Array> = {};
  const transfer: ArrayBuffer[] = [];
  for (const name of Object.keys(program.outputs)) {
    const data = outputs[name]!.data as Float32Array;
    value[name] = data;
    transfer.push(data.buffer as ArrayBuffer);
  }
  return { value: { outputs: value, ms } satisfies RunOutcome, transfer };
}
