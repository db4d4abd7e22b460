/** What a worker's loop is given, and what it tells. */
import type { Progress } from '../train/progress.js';
import type { Engine, RedisClient } from './engine.js';
import type { Job } from './job.js';
import type { RunMaker } from './make-run.js';
import type { Places } from './places.js';

/** What a worker tells of itself. */
export type WorkerEvent =
  | { readonly kind: 'joined'; readonly name: string; readonly build: string; readonly slots: number }
  | { readonly kind: 'began'; readonly run: string; readonly goesOn: boolean }
  | { readonly kind: 'done'; readonly run: string; readonly seconds: number }
  | { readonly kind: 'handed-back'; readonly run: string }
  | { readonly kind: 'failed'; readonly run: string; readonly message: string; readonly parked: boolean }
  | { readonly kind: 'lacks'; readonly run: string; readonly what: string }
  | { readonly kind: 'lost'; readonly run: string }
  | { readonly kind: 'waits'; readonly why: string };

export interface LoopOptions {
  readonly engine: Engine;
  readonly redis: RedisClient;
  /** The queue's name. */
  readonly queue: string;
  /** Of this build, and versions in words. */
  readonly build: { readonly key: string; readonly says: string };
  readonly device: 'cpu' | 'cuda' | 'webgpu';
  /** What it is called; default: the machine's name and a number. */
  readonly name?: string;
  /** Runs at a time, at most; default: as many as there are cores. */
  readonly slots?: number;
  readonly make: RunMaker;
  /** @throws Lacking; IdatError `queue.job` for a job that cannot be; anything else is taken for a fault of this machine */
  readonly find: (job: Job) => Promise<Places>;
  /** Silence after which a worker is taken for dead. All workers of a queue should have the same. */
  readonly silenceMs?: number;
  /** Leaves when there is nothing more to do. */
  readonly untilEmpty?: boolean;
  readonly onEvent?: (event: WorkerEvent) => void;
  readonly onProgress?: (event: Progress, run: string) => void;
}

/** How many runs a worker has made, and how many it handed back. */
export interface WorkerOutcome {
  readonly done: number;
  readonly failed: number;
  readonly handedBack: number;
}
