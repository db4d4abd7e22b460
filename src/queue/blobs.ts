/** Files in the queue's store, known by their SHA-256: how data and weights reach workers that have neither. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { IdatError } from '../errors.js';
import { identityText, thisProcess } from '../files/node/process-identity.js';
import { sha256OfFiles } from '../files/node/sha256.js';
import { asBuffer, type RedisClient } from './engine.js';
import type { Blob } from './job.js';
import { storeKey } from './store.js';

/** So much at a time crosses to the server, which does nothing else meanwhile. */
const PIECE_BYTES = 2 ** 20;
const KEPT_SECONDS = 14 * 24 * 3600;

const key = (queue: string, sha256: string) => storeKey(queue, 'blob', sha256);
const usersKey = (queue: string, sha256: string) => storeKey(queue, 'blob-users', sha256);

/** Puts a file into the store for a sweep, unless it is there. What lies there is kept for two weeks after the last look. */
export async function putBlob(
  redis: RedisClient,
  queue: string,
  sweep: string,
  path: string,
  { sha256, bytes }: Blob,
): Promise<void> {
  const place = key(queue, sha256);
  await redis.call('SADD', usersKey(queue, sha256), sweep);
  await redis.call('EXPIRE', usersKey(queue, sha256), KEPT_SECONDS);
  if (await touchBlob(redis, queue, sha256)) return;
  const file = await open(path, 'r');
  try {
    for (let at = 0, piece = 0; at < bytes; at += PIECE_BYTES, piece++) {
      const content = new Uint8Array(Math.min(PIECE_BYTES, bytes - at));
      await file.read(content, 0, content.length, at);
      await redis.call('HSET', place, piece, asBuffer(content));
      await redis.call('EXPIRE', place, KEPT_SECONDS);
    }
    await redis.call('HSET', place, 'bytes', bytes); // last: it is whole
  } finally {
    await file.close();
  }
}

/** Whether a file is in the store, which is kept longer for being asked for. */
async function touchBlob(redis: RedisClient, queue: string, sha256: string): Promise<boolean> {
  const place = key(queue, sha256);
  const whole = await redis.call('HEXISTS', place, 'bytes');
  if (whole === 1) await redis.call('EXPIRE', place, KEPT_SECONDS);
  await redis.call('EXPIRE', usersKey(queue, sha256), KEPT_SECONDS);
  return whole === 1;
}

/** A sweep that has ended needs it no more; the last one takes it away. */
export async function dropBlob(redis: RedisClient, queue: string, sweep: string, sha256: string): Promise<void> {
  await redis.call('SREM', usersKey(queue, sha256), sweep);
  if (Number(await redis.call('SCARD', usersKey(queue, sha256))) === 0) await redis.call('UNLINK', key(queue, sha256));
}

/** The hashes of all files that the store holds for somebody. */
export async function blobsOf(redis: RedisClient, queue: string): Promise<string[]> {
  const front = usersKey(queue, '');
  const found: string[] = [];
  let cursor = '0';
  do {
    const answer = await redis.call('SCAN', cursor, 'MATCH', `${front}*`, 'COUNT', 1000);
    const [next, keys] = answer as [string, string[]];
    found.push(...keys.map((one) => one.slice(front.length)));
    cursor = next;
  } while (cursor !== '0');
  return [...new Set(found)];
}

/**
 * A file of the store on this disk, fetched when it is not there yet.
 * @param path where it is to lie
 * @param folder of the same disk, where it lies until it is whole
 * @returns false where the store does not have it
 * @throws IdatError `queue.blob` where what comes is not what its hash says
 */
export async function fetchBlob(
  redis: RedisClient,
  queue: string,
  blob: Blob,
  path: string,
  folder: string,
): Promise<boolean> {
  const there = await stat(path).catch(() => null);
  if (there?.size === blob.bytes && (await sha256OfFiles([path])) === blob.sha256) return true;
  const place = key(queue, blob.sha256);
  if (Number(await redis.call('HGET', place, 'bytes')) !== blob.bytes) return false;
  await mkdir(dirname(path), { recursive: true });
  const temporary = join(folder, `.idat-${identityText(thisProcess())}-${randomUUID()}.tmp`);
  const file = await open(temporary, 'wx');
  const hash = createHash('sha256');
  try {
    let left = blob.bytes;
    for (let piece = 0; left > 0; piece++) {
      const length = Number(await redis.call('HSTRLEN', place, piece));
      if (length !== Math.min(PIECE_BYTES, left)) break;
      const content = (await redis.callBuffer('HGET', place, piece)) as Uint8Array;
      hash.update(content);
      await file.write(content);
      left -= content.length;
    }
    await file.close();
    if (left > 0 || hash.digest('hex') !== blob.sha256) {
      throw new IdatError(
        'queue.blob',
        `the queue's store holds other bytes than ${blob.sha256.slice(0, 12)}… should be`,
      );
    }
    await rename(temporary, path);
    return true;
  } finally {
    await file.close().catch(() => {});
    await rm(temporary, { force: true });
  }
}
