/** What a sweep has in the server for its workers: jobs, and the files that carry images and weights. */
import { dropBlob, putBlob } from './blobs.js';
import { type Engine, type JobQueue, PREFIX, type RedisClient } from './engine.js';
import { MAX_ATTEMPTS } from './held-run.js';
import type { Job } from './job.js';
import { noteLane } from './snapshot.js';
import type { Carried } from './wanted.js';

/** Before a run that failed is offered again; doubled each time. */
const BACKOFF_MS = 5000;

/** A run as it lies in the queue. */
export interface LaidJob {
  readonly id: string;
  readonly lane: string;
  readonly job: Job;
}

export class SweepJobs {
  private readonly queues = new Map<string, JobQueue>();
  private readonly carried = new Map<string, Carried>();

  /**
   * @param priority lower ones come first
   * @param waiting waits for a server that is away
   */
  constructor(
    private readonly engine: Engine,
    private readonly redis: RedisClient,
    private readonly queue: string,
    private readonly sweep: string,
    private readonly priority: number,
    private readonly waiting: <T>(action: () => Promise<T>) => Promise<T>,
  ) {}

  /** Puts files into the store that are not there, each once. */
  async carry(files: readonly Carried[]): Promise<void> {
    for (const one of files) {
      if (this.carried.has(one.blob.sha256)) continue;
      await this.send(one);
      this.carried.set(one.blob.sha256, one);
    }
  }

  /** Makes sure that the store has them still, and keeps them. */
  async carryAgain(): Promise<void> {
    // a file that has gone here cannot be sent again: workers say that they lack it
    for (const one of this.carried.values()) await this.send(one).catch(() => {});
  }

  /** Puts jobs there; those that are there already are left. */
  async add(batch: readonly LaidJob[]): Promise<void> {
    for (const lane of new Set(batch.map((one) => one.lane))) {
      await this.waiting(() => noteLane(this.redis, this.queue, lane));
      const jobs = batch.filter((one) => one.lane === lane).map((one) => this.entryOf(one));
      await this.waiting(() => this.queueOf(lane).addBulk(jobs));
    }
  }

  /** Takes jobs out that nobody is at. */
  async remove(batch: readonly LaidJob[]): Promise<void> {
    await this.waiting(() => Promise.all(batch.map(({ id, lane }) => this.queueOf(lane).remove(id))));
  }

  /** Whether the server has all of them. */
  async hasAll(batch: readonly LaidJob[]): Promise<boolean> {
    const keys = batch.map(({ lane, id }) => `${PREFIX}:${lane}:${id}`);
    return (await this.waiting(() => this.redis.call('EXISTS', ...keys))) === batch.length;
  }

  /** Files that no other sweep needs go. */
  async dropFiles(): Promise<void> {
    for (const hash of this.carried.keys()) await dropBlob(this.redis, this.queue, this.sweep, hash).catch(() => {});
  }

  async close(): Promise<void> {
    for (const queue of this.queues.values()) await queue.close().catch(() => {});
  }

  private send({ path, blob }: Carried): Promise<void> {
    return this.waiting(() => putBlob(this.redis, this.queue, this.sweep, path, blob));
  }

  private entryOf({ id, job }: LaidJob) {
    const opts = {
      jobId: id,
      priority: this.priority,
      attempts: MAX_ATTEMPTS + 1, // who makes it decides when it is given up
      backoff: { type: 'exponential' as const, delay: BACKOFF_MS },
      removeOnComplete: true as const,
    };
    return { name: 'run', data: job, opts };
  }

  private queueOf(lane: string): JobQueue {
    const known = this.queues.get(lane);
    if (known) return known;
    const queue = new this.engine.Queue(lane, { connection: this.redis, prefix: PREFIX });
    queue.on('error', () => {});
    this.queues.set(lane, queue);
    return queue;
  }
}
