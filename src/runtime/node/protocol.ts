/** What goes between the thread of the caller and the worker in which ONNX Runtime runs. */
import type { Program } from '../../graph/emit.js';
import type { Device, Feed, Shapes } from '../runtime.js';

export type Request =
  | { kind: 'start'; device: Device }
  | { kind: 'load'; program: Program; threads: number; profile: boolean }
  | { kind: 'run'; session: number; feeds: Readonly<Record<string, Feed>>; shapes: Shapes }
  | { kind: 'kernelTimes'; session: number }
  | { kind: 'release'; session: number }
  | { kind: 'stop' };

/** What comes of a run. */
export interface RunOutcome {
  readonly outputs: Record<string, Float32Array>;
  /** That ONNX Runtime took for it. */
  readonly ms: number;
}

export type Reply = { id: number; value: unknown } | { id: number; code: string; error: string };
