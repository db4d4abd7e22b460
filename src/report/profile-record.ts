/** Where the time of a step goes, as data. */
import type { Role } from '../step/roles.js';

/** The kernels of one op kind in one part of one model, in one direction. */
export interface KernelShare {
  /** ONNX operator type, the runtime's fused ones included. */
  readonly op: string;
  readonly role: Role | null;
  /** Room and part, such as `backbones.attention`; null where the runtime made a node that tells no origin. */
  readonly part: string | null;
  readonly backward: boolean;
  /** Milliseconds a step. */
  readonly ms: number;
}

/** What a step does outside the kernels, in milliseconds. */
export interface OutsideKernels {
  /** Inside the runtime: choosing the next kernel, finding its memory. */
  readonly scheduling: number;
  /** Images and parameters to the worker, gradients back. */
  readonly copying: number;
  /** Adding up micro-batches, counting hits, looking for NaN. */
  readonly summing: number;
  readonly optimizer: number;
  /** For images that were not ready in time. */
  readonly waiting: number;
}

/** profile.json. All times are means over the steps; kernels and what is outside them add up to `stepMs`. */
export interface StepProfile {
  readonly format: 'idat-profile-1';
  readonly models: string;
  readonly variant: string;
  readonly device: string;
  readonly threads: number;
  readonly batchSize: number;
  readonly microBatch: number;
  readonly steps: number;
  /** Whether what the models' frozen prefixes compute was at hand, as it is from the second epoch on. */
  readonly prefix: boolean;
  /** Wall-clock of one step while the profiler runs. */
  readonly stepMs: number;
  readonly kernels: readonly KernelShare[];
  readonly outside: OutsideKernels;
  /** Reading and normalising a batch; happens beside the step and is no part of it. */
  readonly readingMs: number;
}
