/** How a queue stands: for a terminal, a page, or whoever asks. */
import { parseQueueUrl } from './address.js';
import { connect, type Engine, type JobQueue, loadEngine, PREFIX, type RedisClient } from './engine.js';
import { readSigns, type Sign } from './signs.js';
import { RunStore, storeKey } from './store.js';

export interface QueueSnapshot {
  readonly counts: {
    /** For a worker. */
    readonly waiting: number;
    readonly running: number;
    /** Until a worker has what they need, or until they are tried again. */
    readonly setAside: number;
    /** Given up, with the reason. */
    readonly parked: number;
  };
  /** Those that are there, and what each does. */
  readonly workers: readonly Sign[];
  /** Runs that end in an hour, by the last quarter of an hour; null before two have. */
  readonly perHour: number | null;
  /** Until nothing is left, at that pace; null where nobody knows. */
  readonly secondsLeft: number | null;
}

/** The pace is that of so long. */
const WINDOW_MS = 15 * 60_000;
const MAX_LANES = 100;

const lanesKey = (queue: string) => storeKey(queue, 'lanes');

export async function noteLane(redis: RedisClient, queue: string, lane: string): Promise<void> {
  await redis.call('SADD', lanesKey(queue), lane);
}

/** Reads how a queue stands, with queues that it opens once. */
export class SnapshotReader {
  private readonly lanes = new Map<string, JobQueue>();

  constructor(
    private readonly engine: Engine,
    private readonly redis: RedisClient,
    private readonly queue: string,
  ) {}

  async read(): Promise<QueueSnapshot> {
    const counts = await this.counts();
    const workers = await readSigns(this.redis, this.queue);
    const ends = await new RunStore(this.redis, this.queue).ends();
    const perHour = paceOf(ends, Date.now());
    return { counts, workers, perHour, secondsLeft: leftOf(counts, workers, perHour) };
  }

  async close(): Promise<void> {
    for (const lane of this.lanes.values()) await lane.close().catch(() => {});
  }

  private async counts(): Promise<QueueSnapshot['counts']> {
    const names = (await this.redis.call('SMEMBERS', lanesKey(this.queue))) as string[];
    const sum = { waiting: 0, running: 0, setAside: 0, parked: 0 };
    for (const name of names.filter(isLane).slice(0, MAX_LANES)) {
      const found = await this.lane(name).getJobCounts('waiting', 'prioritized', 'active', 'delayed', 'failed');
      const { waiting = 0, prioritized = 0, active = 0, delayed = 0, failed = 0 } = found;
      sum.waiting += waiting + prioritized;
      sum.running += active;
      sum.setAside += delayed;
      sum.parked += failed;
    }
    return sum;
  }

  private lane(name: string): JobQueue {
    const known = this.lanes.get(name);
    if (known) return known;
    const lane = new this.engine.Queue(name, { connection: this.redis, prefix: PREFIX, skipMetasUpdate: true });
    lane.on('error', () => {});
    this.lanes.set(name, lane);
    return lane;
  }
}

const isLane = (name: string): boolean => /^[\w-]{1,200}$/.test(name);

/** @param ends newest first */
export function paceOf(ends: readonly { at: number; ms: number }[], now: number): number | null {
  const recent = ends.filter(({ at, ms }) => ms > 0 && now - at < WINDOW_MS);
  const first = recent.at(-1);
  if (!first || recent.length < 2) return null;
  return ((recent.length - 1) / Math.max(1, now - first.at)) * 3_600_000;
}

function leftOf(
  { waiting, running, setAside }: QueueSnapshot['counts'],
  workers: readonly Sign[],
  perHour: number | null,
): number | null {
  const runs = workers.flatMap((worker) => worker.runs);
  if (waiting + running + setAside === 0) return 0;
  if (perHour !== null) {
    const begun = runs.reduce((sum, { fraction }) => sum + Math.min(1, fraction), 0);
    return ((waiting + setAside + Math.max(0, running - begun)) / perHour) * 3600;
  }
  const known = runs.filter(({ secondsLeft, fraction }) => secondsLeft !== null && fraction > 0.05 && fraction < 1);
  if (known.length === 0) return null;
  const whole = known.reduce((sum, one) => sum + one.secondsLeft! / (1 - one.fraction), 0) / known.length;
  const longest = Math.max(...known.map((one) => one.secondsLeft!));
  return Math.max(longest, ((waiting + setAside) * whole) / Math.max(1, runs.length) + longest / 2);
}

/** A view of a queue that stays open. */
export interface QueueView {
  read(): Promise<QueueSnapshot>;
  close(): Promise<void>;
}

/**
 * Opens a view of a queue, which changes nothing there.
 * @param url `redis://HOST:PORT` or `rediss://…`; user and password may stand in the environment (docs/queue.md)
 * @throws IdatError `config.queue`, `queue.missing`, `queue.connect`
 */
export async function viewQueue(url: string): Promise<QueueView> {
  const address = parseQueueUrl(url, process.env);
  const engine = await loadEngine();
  const redis = await connect(engine, address);
  const reader = new SnapshotReader(engine, redis, address.name);
  return {
    read: () => reader.read(),
    close: async () => {
      await reader.close();
      redis.disconnect();
    },
  };
}
