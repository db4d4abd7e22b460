/** A worker on this machine, put together: its connection, where its images and weights lie, and how it makes runs. */
import { mkdir, rm } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { IdatError } from '../errors.js';
import { inProcesses } from '../experiments/run-in-process.js';
import { removeAbandoned } from '../files/node/abandoned.js';
import { cacheFolder } from '../files/node/cache-folder.js';
import { identityText, thisProcess } from '../files/node/process-identity.js';
import type { Progress } from '../train/progress.js';
import { parseQueueUrl } from './address.js';
import { thisBuild } from './build.js';
import { connect, loadEngine } from './engine.js';
import type { WorkerEvent, WorkerOutcome } from './loop-options.js';
import { runMaker } from './make-run.js';
import { PlaceFinder } from './places.js';
import { workOnQueue } from './worker.js';

export interface WorkerOptions {
  /** `redis://HOST:PORT` or `rediss://…`; user and password may stand in the environment. */
  readonly queue: string;
  /** What it is called; default: the machine's name and the number of its process. */
  readonly name?: string;
  /** Where its runs compute; runs that leave it open are for `cpu`. */
  readonly device?: 'cpu' | 'cuda' | 'webgpu';
  /** Runs at a time, at most; default: as many as there are cores, one on a GPU. */
  readonly parallel?: number;
  /** Folders in which data sets lie by their names. */
  readonly data?: readonly string[];
  /** Folders in which checkpoints lie by their names. */
  readonly models?: readonly string[];
  /** The folder from which files with methods and losses may be imported; default: none are. */
  readonly modules?: string;
  /** Folder for decoded images and what frozen prefixes compute. */
  readonly cacheDir?: string;
  /** Of one data set or checkpoint that comes through the queue's store; default 1 GiB. */
  readonly carryBytes?: number;
  /** Whether names of the Hugging Face hub may be fetched from there; default: no. */
  readonly fetch?: boolean;
  /** Seconds of silence after which a worker is taken for dead; equal for all workers of a queue. Default 60. */
  readonly silence?: number;
  /** Leaves when nothing is left to do. */
  readonly untilEmpty?: boolean;
}

export interface WorkerControl {
  readonly onEvent?: (event: WorkerEvent) => void;
  /** Told what each run tells. */
  readonly onProgress?: (event: Progress, run: string) => void;
  /** When aborted, running steps are finished, and runs handed back as they are saved. */
  readonly signal?: AbortSignal;
}

const CARRY_BYTES = 2 ** 30;
/** Names the process, so that what one has left that was killed is found and removed. */
const FOLDER = 'idat-worker-';

/**
 * Works for a queue until the signal is aborted.
 * @throws IdatError `config.queue`, `queue.missing`, `queue.connect`
 */
export async function startWorker(options: WorkerOptions, control: WorkerControl = {}): Promise<WorkerOutcome> {
  const { device = 'cpu', carryBytes: limitBytes = CARRY_BYTES, fetch = false, silence, untilEmpty } = options;
  const address = parseQueueUrl(options.queue, process.env);
  const engine = await loadEngine();
  const redis = await connect(engine, address);
  const signal = control.signal ?? new AbortController().signal;
  const cache = join(cacheFolder(), 'queue');
  const folder = join(tmpdir(), `${FOLDER}${identityText(thisProcess())}-${++workers}`);
  try {
    await removeAbandoned(tmpdir(), new RegExp(`^${FOLDER}`));
    await makeFolder(folder);
    await makeFolder(cache);
    await removeAbandoned(cache, /^\.idat-.*\.tmp$/);
    const places = {
      data: (options.data ?? []).map((one) => resolve(one)),
      models: (options.models ?? []).map((one) => resolve(one)),
      modules: options.modules === undefined ? null : resolve(options.modules),
      ...{ cache, limitBytes, fetch },
    };
    const finder = new PlaceFinder(redis, address.name, places, { signal });
    const name = options.name ?? `${hostname()}-${process.pid}`;
    const cacheDir = options.cacheDir === undefined ? null : resolve(options.cacheDir);
    const make = runMaker({ worker: name, folder, device, cacheDir, fetch, runner: inProcesses });
    const parallel = options.parallel ?? (device === 'cpu' ? undefined : 1);
    return await workOnQueue(
      {
        ...{ engine, redis, queue: address.name, build: thisBuild(), device, name, make },
        find: (job) => finder.find(job),
        ...(parallel !== undefined && { slots: parallel }),
        ...(silence !== undefined && { silenceMs: silence * 1000 }),
        ...(untilEmpty !== undefined && { untilEmpty }),
        ...(control.onEvent && { onEvent: control.onEvent }),
        ...(control.onProgress && { onProgress: control.onProgress }),
      },
      signal,
    );
  } finally {
    redis.disconnect();
    await rm(folder, { recursive: true, force: true });
  }
}

let workers = 0;

async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    const what = `${path}: cannot make this folder (${error.code})`;
    throw new IdatError('queue.folder', `${what}; a worker needs one it can write in`, { cause: error });
  });
}
