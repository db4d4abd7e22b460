/** What goes between the thread of the training loop and the Worker in which ONNX Runtime for the Web runs. */
import type { Program } from '../../graph/emit.js';
import type { Feed, Provider, Shapes } from '../runtime.js';

export type Request =
  /** @param onnxruntime address of onnxruntime-web's files, for a device that idat's own do not serve */
  | { kind: 'start'; device: Provider; onnxruntime?: string | undefined }
  /** Hands over a file of weights, once for all programs that refer to it. */
  | { kind: 'file'; path: string; bytes: Uint8Array }
  /** @param computed the weights that compiling computed, which the program's files call `path` */
  | { kind: 'load'; program: Program; computed: { path: string; bytes: Uint8Array } | null }
  | { kind: 'run'; session: number; feeds: Readonly<Record<string, Feed>>; shapes: Shapes }
  | { kind: 'release'; session: number };

/** What comes of a run. */
export interface RunOutcome {
  readonly outputs: Record<string, Float32Array>;
  /** That ONNX Runtime took for it. */
  readonly ms: number;
}

export type Reply = { id: number; value: unknown } | { id: number; code: string; error: string };

/** One engine, in a Worker or in the same thread. */
export interface Connection<Asked = Request> {
  /**
   * @param transfer what goes to the other side and is not copied
   * @throws IdatError `runtime.…`
   */
  call(request: Asked, transfer?: Transferable[]): Promise<unknown>;
  close(): void;
}
