/** Takes jobs of a sweep out of the queue again. */
import { blobsOf, dropBlob } from './blobs.js';
import { type Engine, PREFIX, type RedisClient } from './engine.js';
import { RunStore, storeKey } from './store.js';

/** A sweep's jobs, whatever has become of them, and all that the store holds for it. @returns how many were waiting */
export async function withdrawAll(engine: Engine, redis: RedisClient, queue: string, sweep: string): Promise<number> {
  const count = await withdrawJobs(engine, redis, queue, sweep, () => true);
  const store = new RunStore(redis, queue);
  for (const id of await store.ended(sweep)) await store.drop(id, sweep);
  for (const hash of await blobsOf(redis, queue)) await dropBlob(redis, queue, sweep, hash);
  return count;
}

/**
 * Those of a sweep's jobs that lie in the lanes that the caller names. Runs under way stop when their workers next keep a state, and
 * are begun by nobody.
 * @returns how many were waiting
 */
export async function withdrawJobs(
  engine: Engine,
  redis: RedisClient,
  queue: string,
  sweep: string,
  isMeant: (lane: string) => boolean,
): Promise<number> {
  const store = new RunStore(redis, queue);
  let count = 0;
  for (const [lane, ids] of await jobsOf(redis, queue, sweep)) {
    if (!isMeant(lane)) continue;
    const jobs = new engine.Queue(lane, { connection: redis, prefix: PREFIX });
    jobs.on('error', () => {});
    for (const id of ids) {
      const removed = await jobs.remove(id).catch(() => 0);
      count += removed;
      await (removed > 0 ? store.drop(id, sweep) : store.forget(id, sweep));
    }
    await jobs.close().catch(() => {});
  }
  return count;
}

/** The ids of a sweep's jobs by the lane they lie in. */
async function jobsOf(redis: RedisClient, queue: string, sweep: string): Promise<Map<string, Set<string>>> {
  const names = (await redis.call('SMEMBERS', storeKey(queue, 'lanes'))) as string[];
  const lanes = new Map(names.map((name) => [name, new Set<string>()]));
  let cursor = '0';
  do {
    const answer = await redis.call('SCAN', cursor, 'MATCH', `${PREFIX}:*:${sweep}-*`, 'COUNT', 1000);
    const [next, keys] = answer as [string, string[]];
    for (const key of keys) {
      const [lane, id, ...ofIt] = key.slice(PREFIX.length + 1).split(':');
      if (ofIt.length === 0) lanes.get(lane!)?.add(id!); // a longer key is what belongs to a job
    }
    cursor = next;
  } while (cursor !== '0');
  return lanes;
}
