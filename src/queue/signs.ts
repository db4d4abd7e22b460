/** Signs of life: what each worker is and does, kept in the server for as long as it goes on saying so. */
import { z } from 'zod';
import type { RedisClient } from './engine.js';
import { storeKey } from './store.js';

const short = z.string().max(400);

const Sign = z.object({
  /** What it is called. */
  name: short,
  lane: short,
  /** Versions in words. */
  build: short,
  device: short,
  cores: z.int(),
  /** Runs at a time, at most. */
  slots: z.int(),
  /** Since it joined. */
  done: z.int(),
  runs: z
    .array(
      z.object({
        id: short,
        name: short,
        /** Share that is done, and seconds left; null where nobody knows. */
        fraction: z.number(),
        secondsLeft: z.number().nullable(),
      }),
    )
    .max(1024),
  /** What it would need for runs that it had to leave to others, a sentence each. */
  lacks: z.array(z.string().max(1000)).max(20),
});
/** What a worker says of itself. */
export type Sign = z.output<typeof Sign>;

/** A worker that has said nothing for so long is gone. */
export const SILENCE_MS = 20_000;
export const SIGN_MS = 2000;
const MAX_SIGN_BYTES = 2 ** 20;

const GIVE = `
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[4] - 10 * ARGV[3])
return 1`;

const listKey = (queue: string) => storeKey(queue, 'workers');
const signKey = (queue: string, id: string) => storeKey(queue, 'worker', id);

export async function giveSign(redis: RedisClient, queue: string, id: string, sign: Sign): Promise<void> {
  const args = [id, JSON.stringify(sign), SILENCE_MS, Date.now()];
  await redis.call('EVAL', GIVE, 2, signKey(queue, id), listKey(queue), ...args);
}

export async function withdrawSign(redis: RedisClient, queue: string, id: string): Promise<void> {
  await redis.call('DEL', signKey(queue, id));
  await redis.call('ZREM', listKey(queue), id);
}

/** Of all workers that are there, by name. What is no sign of ours is passed over. */
export async function readSigns(redis: RedisClient, queue: string): Promise<Sign[]> {
  const ids = (await redis.call('ZRANGE', listKey(queue), 0, 9999)) as string[];
  if (ids.length === 0) return [];
  const texts = (await redis.call('MGET', ...ids.map((id) => signKey(queue, id)))) as (string | null)[];
  const signs = texts.flatMap((text) => (text !== null && text.length <= MAX_SIGN_BYTES ? signIn(text) : []));
  return signs.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function signIn(text: string): Sign[] {
  try {
    const parsed = Sign.safeParse(JSON.parse(text));
    return parsed.success ? [parsed.data] : [];
  } catch {
    return [];
  }
}
