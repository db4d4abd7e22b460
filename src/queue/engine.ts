/**
 * BullMQ and its Redis client, which only who works with a queue has installed. All that the rest sees of them are the types
 * below: declarations of packages that may be missing must not be asked for.
 */
import { IdatError } from '../errors.js';
import type { QueueAddress } from './address.js';

/** A client of the server (ioredis). */
export interface RedisClient {
  readonly status: string;
  call(command: string, ...args: (string | number | Buffer)[]): Promise<unknown>;
  /** The same, with answers as bytes. */
  callBuffer(command: string, ...args: (string | number | Buffer)[]): Promise<unknown>;
  connect(): Promise<void>;
  disconnect(): void;
  quit(): Promise<unknown>;
  on(event: string, listener: (...args: never[]) => void): unknown;
}

/** A job that this process holds (BullMQ's Job). */
export interface HeldJob {
  readonly id?: string;
  readonly data: unknown;
  readonly opts: { readonly priority?: number };
  readonly attemptsMade: number;
  extendLock(token: string, ms: number): Promise<number>;
  moveToCompleted(value: unknown, token: string, fetchNext: boolean): Promise<unknown>;
  moveToFailed(error: Error, token: string, fetchNext: boolean): Promise<unknown>;
  moveToDelayed(timestamp: number, token: string): Promise<void>;
  moveToWait(token: string): Promise<unknown>;
}

/** BullMQ's Worker, of which jobs are fetched one by one. */
export interface JobSource {
  getNextJob(token: string, options: { block: boolean }): Promise<HeldJob | undefined>;
  startStalledCheckTimer(): Promise<void>;
  waitUntilReady(): Promise<unknown>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  close(force?: boolean): Promise<void>;
}

export interface JobOptions {
  readonly jobId: string;
  readonly priority: number;
  readonly attempts: number;
  readonly backoff: { readonly type: 'exponential'; readonly delay: number };
  readonly removeOnComplete: true;
}

/** BullMQ's Queue. */
export interface JobQueue {
  addBulk(jobs: readonly { name: string; data: unknown; opts: JobOptions }[]): Promise<unknown>;
  getJobCounts(...types: string[]): Promise<Record<string, number>>;
  remove(jobId: string): Promise<number>;
  waitUntilReady(): Promise<unknown>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  close(): Promise<void>;
}

interface QueueSettings {
  readonly connection: RedisClient;
  readonly prefix: string;
  readonly [setting: string]: unknown;
}

/** What is used of the two packages. */
export interface Engine {
  readonly Queue: new (name: string, settings: QueueSettings) => JobQueue;
  readonly Worker: new (name: string, processor: null, settings: QueueSettings) => JobSource;
  readonly Redis: new (options: Readonly<Record<string, unknown>>) => RedisClient;
  /** Says that a job must not be tried again. */
  readonly UnrecoverableError: new (
    message: string,
  ) => Error;
}

/** Bytes as the client takes them: what is no Buffer it writes as text. */
export const asBuffer = ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);

/** In front of all keys that BullMQ writes. */
export const PREFIX = 'idat';

/** @throws IdatError `queue.missing` where they are not installed */
export async function loadEngine(): Promise<Engine> {
  try {
    const [bullmq, ioredis] = await Promise.all([import('bullmq'), import('ioredis')]);
    const { Queue, Worker, UnrecoverableError } = bullmq;
    return { Queue, Worker, UnrecoverableError, Redis: ioredis.Redis } as unknown as Engine;
  } catch (cause) {
    const what = 'a queue needs two packages that are not installed';
    throw new IdatError('queue.missing', `${what}: npm install bullmq@6 ioredis@6`, { cause });
  }
}

/** A server that does not answer at first is taken for absent after so long; one that answered once is waited for. */
const CONNECT_MS = 10_000;
const LONGEST_PAUSE_MS = 2000;

/**
 * Connects. Afterwards commands wait while the server is away, however long.
 * @throws IdatError `queue.connect` when it cannot be reached or refuses
 */
export async function connect({ Redis }: Engine, address: QueueAddress, waitMs = CONNECT_MS): Promise<RedisClient> {
  const { host, port, username, password, db, tls, shown } = address;
  let met = false;
  let last: Error | undefined;
  const began = performance.now();
  const client = new Redis({
    ...{ host, port, username, password, db, lazyConnect: true, connectionName: 'idat' },
    ...(tls && { tls: { servername: host } }),
    maxRetriesPerRequest: null, // BullMQ's condition
    retryStrategy: (times: number) =>
      met || performance.now() - began < waitMs ? Math.min(50 * times, LONGEST_PAUSE_MS) : null,
  });
  client.on('error', (error: Error) => {
    last = error;
  });
  client.on('ready', () => {
    met = true;
  });
  const refused = (error: Error) => {
    const why = last && /closed|ended/i.test(error.message) ? last.message : error.message;
    const what = `${shown}: no queue here (${withoutSecrets(why, address)})`;
    return new IdatError('queue.connect', `${what}; start Redis or Valkey there, or check address and password`);
  };
  try {
    await client.connect();
    await client.call('PING');
    return client;
  } catch (error) {
    client.disconnect();
    throw refused(error as Error);
  }
}

/** A text in which neither password nor user can be read. */
export function withoutSecrets(
  text: string,
  { username, password }: Pick<QueueAddress, 'username' | 'password'>,
): string {
  const secrets = [password, username === 'default' ? undefined : username].filter((one) => one !== undefined);
  const hidden = secrets.reduce((rest, secret) => rest.split(secret).join('…'), text);
  return hidden.replace(/\b(rediss?:\/\/)[^@\s/]*@/g, '$1');
}

/** What a server says while it is full, starting, or a copy of another: it may well obey in a while. */
const FOR_A_WHILE = /^(OOM|LOADING|BUSY|MISCONF|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOREPLICAS)\b/;

/** Whether a command may succeed later as it is. BullMQ words what scripts answer anew, and keeps the server's word in it. */
export function isPassing(error: unknown): boolean {
  const { message = '', code = '' } = (error ?? {}) as { message?: string; code?: string };
  const lost = /ECONN|EPIPE|ETIMEDOUT|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH/.test(code);
  return lost || FOR_A_WHILE.test(message) || /\bOOM command|Connection is closed|Stream isn't writeable/.test(message);
}
