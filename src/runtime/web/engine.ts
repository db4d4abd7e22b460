/** ONNX Runtime for the Web: WebAssembly on one thread, or WebGPU. The only file that imports it. */
import * as wasmRuntime from 'onnxruntime-web/wasm';
import { IdatError } from '../../errors.js';
import type { Program } from '../../graph/emit.js';
import type { Connection, Request, RunOutcome } from './protocol.js';
import { loadWebGpu } from './webgpu.js';

/** What of ONNX Runtime for the Web an engine needs; all its builds have it. */
type OnnxRuntimeWeb = Pick<typeof wasmRuntime, 'env' | 'InferenceSession' | 'Tensor'>;
type InferenceSession = Awaited<ReturnType<OnnxRuntimeWeb['InferenceSession']['create']>>;

interface Loaded {
  readonly session: InferenceSession;
  readonly program: Program;
}

/**
 * @param wasm address of the runtime's WebAssembly; default: where its package has it
 * @returns an engine in the thread of the caller, which each run blocks
 */
export function openEngine(wasm?: string): Connection {
  const files = new Map<string, Uint8Array>();
  const sessions = new Map<number, Loaded>();
  let next = 0;
  let ort: OnnxRuntimeWeb = wasmRuntime;
  let executionProviders = ['wasm'];
  const load = async ({ program, computed }: Request & { kind: 'load' }): Promise<number> => {
    const externalData = program.files.map(({ location, path }) => {
      const data = path === computed?.path ? computed.bytes : files.get(path);
      if (data) return { path: location, data };
      throw new IdatError('runtime.load', `the program reads weights from ${path}, which the runtime was not given`);
    });
    const session = await ort.InferenceSession.create(program.model, {
      executionProviders,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
      // one block planned for a whole run is much larger than what lives at any moment, and no faster for the step of training
      enableMemPattern: program.planned ?? false,
      logSeverityLevel: 3,
      externalData,
    });
    sessions.set(next, { session, program });
    return next++;
  };
  const answer = async (request: Request): Promise<unknown> => {
    switch (request.kind) {
      case 'start':
        if (request.device === 'webgpu') {
          ort = (await loadWebGpu(request.onnxruntime)) as OnnxRuntimeWeb;
          executionProviders = ['webgpu'];
        } else if (wasm !== undefined) ort.env.wasm.wasmPaths = { wasm };
        // more threads would need a page that is isolated from others, and are slower than copies of a program
        ort.env.wasm.numThreads = 1;
        return ort.env.versions.web ?? ort.env.versions.common;
      case 'file':
        files.set(request.path, request.bytes);
        return null;
      case 'load':
        return load(request);
      case 'run':
        return run(ort, sessions.get(request.session)!, request);
      case 'release': {
        const loaded = sessions.get(request.session);
        sessions.delete(request.session);
        await loaded?.session.release();
        return null;
      }
    }
  };
  return {
    call: async (request) => {
      try {
        return await answer(request);
      } catch (error) {
        throw explained(error, request.kind);
      }
    },
    close: () => {
      for (const { session } of sessions.values()) void session.release().catch(() => {});
      sessions.clear();
      files.clear();
    },
  };
}

async function run(
  { Tensor }: OnnxRuntimeWeb,
  { session, program }: Loaded,
  { feeds, shapes }: Request & { kind: 'run' },
): Promise<RunOutcome> {
  const inputs: Record<string, InstanceType<typeof Tensor>> = {};
  for (const [name, { shape, dtype }] of Object.entries(program.inputs)) {
    inputs[name] = new Tensor(dtype, feeds[name] as Float32Array, shapes[name] ?? shape);
  }
  const began = performance.now();
  const results = await session.run(inputs);
  const ms = performance.now() - began;
  const outputs: Record<string, Float32Array> = {};
  for (const name of Object.keys(program.outputs)) outputs[name] = results[name]!.data as Float32Array;
  return { outputs, ms };
}

/** WebAssembly holds 4 GiB at most, and a tab often less; what the runtime says then differs from place to place. */
const NO_MEMORY = /out of memory|bad_alloc|allocate|memory access out of bounds|Array buffer allocation|Aborted\(\)/i;
const NOT_FETCHED =
  /both async and sync fetching|no available backend|failed to fetch|WebAssembly\.(compile|instantiate)/i;

function explained(error: unknown, doing: Request['kind']): IdatError {
  if (error instanceof IdatError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  const make = (code: string, what: string) => new IdatError(code, what, { cause: error });
  if (typeof error === 'number' || NO_MEMORY.test(reason)) {
    const what = 'the memory of this tab is not enough for the model and its batch';
    return make('runtime.memory', `${what} (${reason}); take a smaller model, smaller calls or fewer copies`);
  }
  if (NOT_FETCHED.test(reason)) {
    const what = `ONNX Runtime's WebAssembly could not be loaded (${reason})`;
    return make('runtime.unloadable', `${what}; serve ort-wasm-simd-threaded.wasm beside idat's script`);
  }
  const failed = doing === 'run' ? 'could not run the graph' : 'could not load the graph';
  return make(doing === 'run' ? 'runtime.run' : 'runtime.load', `ONNX Runtime for the Web ${failed}: ${reason}`);
}
