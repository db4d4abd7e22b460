/**
 * Running programs: what the rest of idat sees of the engine underneath. Each platform has one in a folder of its own.
 */
import type { Program, WeightSink } from '../graph/emit.js';
import type { OnnxForms, Shape } from '../graph/tensor.js';
import type { ProfiledRun } from './kernel-times.js';

export const DEVICES = ['auto', 'cpu', 'cuda', 'webgpu'] as const;
export type Device = (typeof DEVICES)[number];
/** What a device comes to. */
export type Provider = Exclude<Device, 'auto'>;

/** The ONNX operators that it runs best, or at all. */
export const formsOf = (device: Provider): OnnxForms => (device === 'webgpu' ? 'webgpu' : 'usual');

export type Feed = Float32Array | BigInt64Array | Uint8Array;

export type Shapes = Readonly<Record<string, Shape>>;

/** What a session's runs have taken so far, of the engine's own time: not the way to it, nor waiting for others. */
export interface Spent {
  readonly calls: number;
  readonly ms: number;
}

export interface Session {
  /** How many runs to begin before the first has ended: one for each copy of the program and, of several, one to follow. */
  readonly atOnce: number;
  /**
   * Runs the program once.
   * @param feeds one typed array for each input, row-major
   * @param shapes of inputs whose sizes the program leaves open, where they are others than it names
   * @returns each output's numbers
   */
  run(feeds: Readonly<Record<string, Feed>>, shapes?: Shapes): Promise<Record<string, Float32Array>>;
  /** Of all runs that have ended, over all copies. */
  spent(): Spent;
  /** Frees the session's memory. */
  close(): Promise<void>;
}

/** A session that records how long each kernel takes, which slows it down a little. */
export interface ProfiledSession extends Session {
  /** Ends the recording: one entry for each run so far. */
  kernelTimes(): Promise<ProfiledRun[]>;
}

/** Compiles a program. @param sink takes weights that compiling computes, until the program is loaded */
export type Compile<P extends Program | null = Program> = (sink: WeightSink) => P | Promise<P>;

/** Besides device and threads, what decides in which order a runtime adds, and so the last bits of its results. */
export interface Engine {
  /** Version of ONNX Runtime. */
  readonly onnxruntime: string;
  /** Instruction set. */
  readonly arch: string;
  readonly cpu: string | undefined;
}

export interface Runtime {
  readonly engine: Engine;
  readonly device: Provider;
  readonly threads: number;
  readonly replicas: number;
  /**
   * The same runtime with other threads for what it loads from now on.
   * @param replicas copies of each program that run at the same time, each on so many threads. Small programs gain much
   *   by it, as whole runs divide better among cores than single operations; weights are held once for each.
   */
  withThreads(threads: number, replicas?: number): Runtime;
  /** Makes a program ready to run. Where compiling gives null, since a look at the program showed that it is not needed, so does this. */
  load(compile: Compile): Promise<Session>;
  load(compile: Compile<Program | null>): Promise<Session | null>;
  /** As `load`, under the runtime's own profiler and once, whatever the replicas. */
  loadProfiled(compile: Compile): Promise<ProfiledSession>;
  /** Ends the workers and everything loaded in them. */
  close(): Promise<void>;
}
