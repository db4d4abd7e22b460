/**
 * What lies in the server beside BullMQ's jobs: of each run its files, as a checkpoint or as it ended, and of each worker a
 * sign of life.
 *
 * Who takes a run raises its *term*, and what it writes names the term it writes for: a worker that was cut off, and whose run
 * goes on elsewhere, is refused from then on. So a run ends once, whatever locks say meanwhile.
 */
import { z } from 'zod';
import { IdatError } from '../errors.js';
import { asBuffer, type RedisClient } from './engine.js';

/** The files of a run by their names. */
export type RunFiles = ReadonlyMap<string, Uint8Array>;

/** Of a run's directory, what a queue carries; the rest follows from it or is the machine's own. */
export const CARRIED = [
  'config.json',
  'classes.json',
  'split.json',
  'state.safetensors',
  'metrics.jsonl',
  'timings.jsonl',
  'student.safetensors',
  'teacher.safetensors',
  'model.safetensors',
  'model-card.md',
  'result.json',
  'queue.json',
] as const;

/** Of all files of a run together; a state of the methods that a sweep is made of has a few MB. */
export const MAX_RUN_BYTES = 256 * 2 ** 20;
const MAX_NOTE_BYTES = 64 * 2 ** 10;
/** What nobody has asked for any more is gone after so long. */
const KEPT_SECONDS = 60 * 24 * 3600;
/** What a sweep that is over has not fetched is kept for so long: for the same command once more, or its older plan. */
const LEFT_SECONDS = 14 * 24 * 3600;
/** So long a run that was fetched is known to have ended, for a worker that was about to say so. */
const REMEMBERED_SECONDS = 24 * 3600;

const Failure = z.object({ code: z.string().max(100), message: z.string().max(4000), worker: z.string().max(200) });
/** Why a run did not come to its end, and on which worker. */
export type Failure = z.output<typeof Failure>;

const Sitting = z.object({
  worker: z.string().max(200),
  /** Processor and system, on which the last bits of a result depend. */
  machine: z.string().max(300),
  device: z.string().max(20),
  threads: z.int(),
  microBatch: z.int(),
  /** Epochs that were behind it when it began. */
  fromEpoch: z.int(),
});
/** A part of a run that one worker has made. */
export type Sitting = z.output<typeof Sitting>;

const History = z.object({ sittings: z.array(Sitting).max(1000), failures: z.array(Failure).max(100) });
/** What befell a run in the queue. */
export type History = z.output<typeof History>;

/** How a run ended, without its files. */
export type Ending = 'done' | { readonly parked: Failure };

export interface Taken {
  readonly term: number;
  /** Times it was begun since it last came further: its workers died, or lost it. */
  readonly starts: number;
}

/** `idat-store:{queue}:…` */
export const storeKey = (queue: string, ...rest: string[]): string => ['idat-store', queue, ...rest].join(':');

/**
 * Raises the term of a run; [0, 0] where it has ended. A run that the store has forgotten, whose worker may still be at it,
 * begins with a term that was never given: the microseconds since 1970.
 */
const TAKE = `
if redis.call('HEXISTS', KEYS[1], 'ended') == 1 then return {0, 0} end
local clock = redis.call('TIME')
local term = math.max((tonumber(redis.call('HGET', KEYS[1], 'term')) or 0) + 1, clock[1] * 1e6 + clock[2])
redis.call('HSET', KEYS[1], 'term', string.format('%.0f', term))
local starts = redis.call('HINCRBY', KEYS[1], 'starts', 1)
redis.call('EXPIRE', KEYS[1], ARGV[1])
return {term, starts}`;

/** Writes fields for a term; 0 where that has passed. ARGV: term, seconds to live, then fields and values. */
const WRITE = `
if redis.call('HGET', KEYS[1], 'term') ~= ARGV[1] or redis.call('HEXISTS', KEYS[1], 'ended') == 1 then return 0 end
for i = 3, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1`;

/** The same, and says to the sweep that the run has ended. KEYS: run, ended, ends; ARGV as above, before the fields id and pace. */
const END = `
if redis.call('HGET', KEYS[1], 'term') ~= ARGV[1] or redis.call('HEXISTS', KEYS[1], 'ended') == 1 then return 0 end
for i = 5, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('SADD', KEYS[2], ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[2])
redis.call('LPUSH', KEYS[3], ARGV[4])
redis.call('LTRIM', KEYS[3], 0, 999)
return 1`;

/** Of a run that was fetched nothing stays but that it has ended. KEYS: run, ended; ARGV: id, seconds. */
const FORGET = `
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'ended', 'fetched')
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('SREM', KEYS[2], ARGV[1])
return 1`;

/** Makes a run that was parked, or fetched and lost, one that can be begun again; 0 for one that waits to be fetched. */
const REOPEN = `
local ended = redis.call('HGET', KEYS[1], 'ended')
if ended == 'done' then return 0 end
if ended then redis.call('HDEL', KEYS[1], 'ended', 'history', 'starts') end
return 1`;

/** Files, unless they are too many bytes, which it tells instead. ARGV: most bytes, fields. */
const READ = `
local sum = 0
for i = 2, #ARGV do sum = sum + redis.call('HSTRLEN', KEYS[1], ARGV[i]) end
if sum > tonumber(ARGV[1]) then return sum end
return redis.call('HMGET', KEYS[1], unpack(ARGV, 2))`;

const fileField = (name: string) => `file:${name}`;

/** One queue's store. */
export class RunStore {
  constructor(
    private readonly redis: RedisClient,
    private readonly queue: string,
  ) {}

  private runKey(id: string): string {
    return storeKey(this.queue, 'run', id);
  }
  private endedKey(sweep: string): string {
    return storeKey(this.queue, 'ended', sweep);
  }
  private get endsKey(): string {
    return storeKey(this.queue, 'ends');
  }
  private script(text: string, keys: readonly string[], args: readonly (string | number | Buffer)[]) {
    return this.redis.call('EVAL', text, keys.length, ...keys, ...args);
  }

  /** Null where the run has ended. */
  async take(id: string): Promise<Taken | null> {
    const [term, starts] = (await this.script(TAKE, [this.runKey(id)], [KEPT_SECONDS])) as [number, number];
    return term === 0 ? null : { term, starts };
  }

  /**
   * Keeps files and what befell the run, all of it or nothing.
   * @param furtherOn whether the run has come further, or was handed back
   * @returns false where the run is another worker's by now
   */
  async keep(id: string, term: number, files: RunFiles, history: History, furtherOn: boolean): Promise<boolean> {
    const fields = [...fieldsOf(files), 'history', JSON.stringify(history), ...(furtherOn ? ['starts', 0] : [])];
    return (await this.script(WRITE, [this.runKey(id)], [term, KEPT_SECONDS, ...fields])) === 1;
  }

  /** The same, at its end. @param seconds it has taken, of which the queue's pace is told */
  async end(
    { id, sweep, term }: { id: string; sweep: string; term: number },
    ending: Ending,
    files: RunFiles,
    history: History,
    seconds: number,
  ): Promise<boolean> {
    const ended = ending === 'done' ? ['ended', 'done'] : ['ended', 'parked', 'parked', JSON.stringify(ending.parked)];
    const fields = [...fieldsOf(files), 'history', JSON.stringify(history), ...ended];
    const keys = [this.runKey(id), this.endedKey(sweep), this.endsKey];
    const pace = `${Date.now()} ${Math.round(seconds * 1000)}`;
    return (await this.script(END, keys, [term, KEPT_SECONDS, id, pace, ...fields])) === 1;
  }

  /** What befell a run so far. */
  async history(id: string): Promise<History> {
    const text = await this.note(id, 'history');
    return History.safeParse(text === null ? null : parsedJson(text)).data ?? { sittings: [], failures: [] };
  }

  /** The files that are kept of a run; none where none are. @throws IdatError `queue.size` */
  async files(id: string): Promise<Map<string, Uint8Array>> {
    const args = [READ, 1, this.runKey(id), MAX_RUN_BYTES, ...CARRIED.map(fileField)];
    const found = (await this.redis.callBuffer('EVAL', ...args)) as number | (Uint8Array | null)[];
    if (typeof found === 'number') throw tooLarge(found);
    return new Map(CARRIED.flatMap((name, i) => (found[i] ? [[name, found[i]] as const] : [])));
  }

  /** How a run ended; null where it has not, or was fetched. */
  async ending(id: string): Promise<Ending | null> {
    const ended = await this.redis.call('HGET', this.runKey(id), 'ended');
    if (ended === 'done') return 'done';
    if (ended !== 'parked') return null;
    const parked = Failure.safeParse(parsedJson((await this.note(id, 'parked')) ?? 'null')).data;
    return { parked: parked ?? { code: 'queue.job', message: 'the queue has lost why', worker: '' } };
  }

  /** Whether it has ended, and its files were fetched. */
  async isFetched(id: string): Promise<boolean> {
    return (await this.redis.call('HGET', this.runKey(id), 'ended')) === 'fetched';
  }

  /** Ids of a sweep's runs that have ended and were not fetched. */
  async ended(sweep: string): Promise<string[]> {
    return (await this.redis.call('SMEMBERS', this.endedKey(sweep))) as string[];
  }

  /** Of a run that was fetched all goes but that it has ended. */
  async forget(id: string, sweep: string): Promise<void> {
    await this.script(FORGET, [this.runKey(id), this.endedKey(sweep)], [id, REMEMBERED_SECONDS]);
  }

  /** Makes sure that a run can be begun. @returns false where it has ended and waits to be fetched */
  async reopen(id: string, sweep: string): Promise<boolean> {
    if ((await this.script(REOPEN, [this.runKey(id)], [])) === 0) return false;
    await this.redis.call('SREM', this.endedKey(sweep), id);
    return true;
  }

  /** Removes all there is of a run. */
  async drop(id: string, sweep: string): Promise<void> {
    await this.redis.call('DEL', this.runKey(id));
    await this.redis.call('SREM', this.endedKey(sweep), id);
  }

  /** A sweep is over, and what has ended of it and was not fetched goes after a while. */
  async leave(sweep: string): Promise<void> {
    const keys = [this.endedKey(sweep), ...(await this.ended(sweep)).map((id) => this.runKey(id))];
    for (const key of keys) await this.redis.call('EXPIRE', key, LEFT_SECONDS);
  }

  /** When the last runs ended, newest first, and how long each took, in milliseconds. */
  async ends(): Promise<{ at: number; ms: number }[]> {
    const lines = (await this.redis.call('LRANGE', this.endsKey, 0, -1)) as string[];
    return lines.flatMap((line) => {
      const [, at, ms] = /^(\d{1,16}) (\d{1,16})$/.exec(line) ?? [];
      return at === undefined ? [] : [{ at: Number(at), ms: Number(ms) }];
    });
  }

  private async note(id: string, field: string): Promise<string | null> {
    const length = Number(await this.redis.call('HSTRLEN', this.runKey(id), field));
    if (length > MAX_NOTE_BYTES) return null;
    return (await this.redis.call('HGET', this.runKey(id), field)) as string | null;
  }
}

/** @throws IdatError `queue.size` */
function fieldsOf(files: RunFiles): (string | Buffer)[] {
  const bytes = [...files.values()].reduce((sum, file) => sum + file.length, 0);
  if (bytes > MAX_RUN_BYTES) throw tooLarge(bytes);
  return [...files].flatMap(([name, content]) => [fileField(name), asBuffer(content)]);
}

const tooLarge = (bytes: number): IdatError => {
  const mebibytes = (value: number) => Math.ceil(value / 2 ** 20);
  const what = `a run's files have ${mebibytes(bytes)} MiB, and the queue carries ${mebibytes(MAX_RUN_BYTES)}`;
  return new IdatError('queue.size', `${what}; make this run without a queue, or tune less of the model`);
};

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
