/**
 * A worker: takes runs from a queue, makes several at a time, and hands back what it is in the middle of when it is told to
 * leave. It may be killed at any moment: others go on from the last epoch.
 */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { IdatError, printable } from '../errors.js';
import { MemoryGauge } from '../experiments/memory.js';
import { usableCores } from '../files/node/usable-cores.js';
import type { FineTuneSettings } from '../settings/config.js';
import type { Progress } from '../train/progress.js';
import {
  type Engine,
  type HeldJob,
  isPassing,
  type JobQueue,
  type JobSource,
  PREFIX,
  type RedisClient,
} from './engine.js';
import { checkedJob, type Job, settingsOf, threadsOf } from './job.js';
import { laneOf } from './lane.js';
import type { RunMaker } from './make-run.js';
import { patiently, unless } from './patience.js';
import { Lacking, type Places } from './places.js';
import { giveSign, SIGN_MS, type Sign, withdrawSign } from './signs.js';
import { type Failure, type History, type RunFiles, RunStore } from './store.js';

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

export const SILENCE_OF_JOB_MS = 60_000;
/** A run that came no further in so many beginnings takes its workers with it. */
const MAX_STARTS = 10;
/** Given back for want of something, a run is offered again after so long. */
const OFFERED_AGAIN_MS = 5000;
/** So many runs in a row are passed over before there is a pause. */
const PASSED_OVER = 20;
const PAUSE_MS = 1000;
/** After each fault of this machine in a row the pause is doubled, up to this. */
const LONGEST_PAUSE_MS = 60_000;
/** How long a worker that leaves tries to save what it has. */
const FAREWELL_MS = 20_000;
/** Of what befell a run so much is kept. */
const MAX_FAILURES = 50;

/** A run that this worker is at work on. */
interface Holding {
  readonly id: string;
  readonly name: string;
  readonly threads: number;
  readonly token: string;
  readonly held: HeldJob;
  /** Aborted when the worker leaves, or the run is another's. */
  readonly stop: AbortController;
  /** Aborted some time after that: so long what it has saved may wait for the server. */
  readonly farewell: AbortSignal;
  lost: boolean;
  /** Why it was stopped for good. */
  refused: IdatError | null;
  fraction: number;
  secondsLeft: number | null;
}

/** How many runs a worker has made, and how many it handed back. */
export interface WorkerOutcome {
  readonly done: number;
  readonly failed: number;
  readonly handedBack: number;
}

/** Works until the signal is aborted, or with `untilEmpty` until nothing is left. */
export async function workOnQueue(options: LoopOptions, signal: AbortSignal): Promise<WorkerOutcome> {
  const loop = new WorkerLoop(options, signal);
  try {
    return await loop.run();
  } finally {
    await loop.close();
  }
}

class WorkerLoop {
  private readonly id = randomUUID();
  private readonly name: string;
  private readonly slots: number;
  private readonly cores = usableCores();
  /** Threads at a time: as many as there are cores, or as its owner says. */
  private readonly threads: number;
  private readonly lane: string;
  private readonly silenceMs: number;
  private readonly source: JobSource;
  private readonly store: RunStore;
  private readonly memory = new MemoryGauge();
  private readonly going = new Map<Holding, Promise<void>>();
  private readonly lacks = new Map<string, number>();
  private readonly outcome = { done: 0, failed: 0, handedBack: 0 };
  private readonly timers: NodeJS.Timeout[] = [];
  private readonly farewell: AbortSignal;
  private counting: JobQueue | null = null;
  /** A job that is looked at: its data may be large, and have to be read. */
  private considered: { readonly held: HeldJob; readonly token: string } | null = null;
  private tokens = 0;
  private passedOver = 0;
  /** Of this machine, one after the other. */
  private faults = 0;

  constructor(
    private readonly options: LoopOptions,
    private readonly signal: AbortSignal,
  ) {
    const { engine, redis, queue, build, device, silenceMs = SILENCE_OF_JOB_MS } = options;
    this.name = options.name ?? `${hostname()}-${process.pid}`;
    this.slots = options.slots ?? this.cores;
    this.threads = Math.max(this.cores, this.slots);
    this.lane = laneOf(queue, build.key, device);
    this.silenceMs = silenceMs;
    this.store = new RunStore(redis, queue);
    this.farewell = farewellTo(signal);
    this.source = new engine.Worker(this.lane, null, {
      ...{ connection: redis, prefix: PREFIX, name: this.name, autorun: false, drainDelay: 5 },
      ...{ lockDuration: silenceMs, stalledInterval: Math.max(1000, silenceMs / 2) },
      maxStalledCount: Number.MAX_SAFE_INTEGER, // the store counts beginnings without progress
    });
    this.source.on('error', () => {}); // what a command meets is told by who has given it
  }

  async run(): Promise<WorkerOutcome> {
    const { build, onEvent } = this.options;
    await this.source.waitUntilReady();
    await this.source.startStalledCheckTimer();
    onEvent?.({ kind: 'joined', name: this.name, build: build.says, slots: this.slots });
    await this.sign();
    this.timers.push(
      every(SIGN_MS, () => this.sign()),
      every(this.silenceMs / 4, () => this.renewAll()),
    );
    const onAbort = () => {
      for (const holding of this.going.keys()) holding.stop.abort();
    };
    this.signal.addEventListener('abort', onAbort);
    while (!this.signal.aborted) {
      if (this.going.size >= this.slots || this.busyThreads() >= this.threads) {
        await this.untilChange();
        continue;
      }
      const token = `${this.id}:${++this.tokens}`;
      const held = await this.next(token);
      if (held) {
        this.considered = { held, token };
        await this.consider(held, token);
        this.considered = null;
      } else if (this.options.untilEmpty && (await this.nothingLeft())) break;
    }
    await Promise.all(this.going.values());
    this.signal.removeEventListener('abort', onAbort);
    return this.outcome;
  }

  async close(): Promise<void> {
    for (const timer of this.timers) clearInterval(timer);
    const { redis, queue } = this.options;
    await inTime(withdrawSign(redis, queue, this.id), 2000);
    await inTime(this.source.close(true), 5000);
  }

  private busyThreads(): number {
    let sum = 0;
    for (const { threads } of this.going.keys()) sum += threads;
    return sum;
  }

  /** Until a run has ended, or the worker is to leave; at once where none is going on any more. */
  private async untilChange(): Promise<void> {
    if (this.going.size === 0) return;
    await unless(this.signal, Promise.race(this.going.values())).catch(() => {});
  }

  /** A pause, which ends when the worker is to leave. */
  private async rest(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.signal }).catch(() => {});
  }

  /** The next job; undefined where there is none, after a while of waiting for one. */
  private async next(token: string): Promise<HeldJob | undefined> {
    const asked = this.source.getNextJob(token, { block: !this.options.untilEmpty });
    try {
      return await unless(this.signal, asked);
    } catch (error) {
      if (this.signal.aborted) void asked.then((job) => job?.moveToWait(token)).catch(() => {});
      else {
        this.options.onEvent?.({ kind: 'waits', why: (error as Error).message });
        await this.rest(PAUSE_MS);
      }
      return undefined;
    }
  }

  private async nothingLeft(): Promise<boolean> {
    if (this.going.size > 0) {
      await this.rest(PAUSE_MS / 4);
      return false;
    }
    if (!this.counting) {
      this.counting = new this.options.engine.Queue(this.lane, { connection: this.options.redis, prefix: PREFIX });
      this.counting.on('error', () => {});
    }
    const counts = await this.counting
      .getJobCounts('waiting', 'prioritized', 'delayed', 'active')
      .catch(() => ({ unknown: 1 }));
    const left = Object.values(counts).reduce((a, b) => a + b, 0);
    if (left > 0) await this.rest(PAUSE_MS / 2);
    return left === 0;
  }

  /** Begins a run that was taken, or gives it back. */
  private async consider(held: HeldJob, token: string): Promise<void> {
    const id = held.id ?? '';
    let job: Job;
    let settings: FineTuneSettings;
    let places: Places;
    try {
      job = checkedJob(held.data);
      places = await this.placesOf(job);
      const { modules: _, ...given } = places;
      settings = settingsOf(job, { ...given, device: this.options.device });
    } catch (error) {
      await this.refuse(held, token, error);
      return;
    }
    const threads = threadsOf(settings);
    const busy = this.busyThreads();
    if (threads > this.cores) {
      await this.refuse(held, token, new Lacking(`${job.name}: needs ${threads} cores, here are ${this.cores}`));
      return;
    }
    if (busy > 0 && (busy + threads > this.threads || !(await this.memory.fits(settings)))) {
      await this.giveBack(held, token, PAUSE_MS);
      await this.untilChange();
      return;
    }
    [this.passedOver, this.faults] = [0, 0];
    const stop = new AbortController();
    const holding: Holding = {
      ...{ id, name: job.name, threads, token, held, stop, farewell: farewellTo(stop.signal) },
      ...{ lost: false, refused: null, fraction: 0, secondsLeft: null },
    };
    if (this.signal.aborted) stop.abort();
    this.memory.begin(holding, settings);
    const work = this.work(holding, job, places).finally(() => {
      this.memory.end(holding);
      this.going.delete(holding);
      void this.sign();
    });
    this.going.set(holding, work);
  }

  /**
   * What goes wrong in looking is this machine's: its disk is full, a file cannot be read. Others may well make the run.
   * @throws Lacking; IdatError `queue.job` where the job is none
   */
  private async placesOf(job: Job): Promise<Places> {
    try {
      return await this.options.find(job);
    } catch (error) {
      const isJobs = error instanceof IdatError && error.code === 'queue.job';
      if (isJobs || error instanceof Lacking || isPassing(error)) throw error;
      const why = String((error as Error)?.message ?? error).replace(/\.idat-\S*\.tmp/, '…');
      throw new Fault(`cannot prepare runs here: ${why}`);
    }
  }

  /** A job that cannot be made here goes to others, one that cannot be made at all is parked. */
  private async refuse(held: HeldJob, token: string, error: unknown): Promise<void> {
    if (isPassing(error)) {
      await this.giveBack(held, token, PAUSE_MS);
      return;
    }
    if (error instanceof Lacking) {
      const what = error.message;
      if (!this.lacks.has(what)) this.options.onEvent?.({ kind: 'lacks', run: nameOf(held), what });
      this.lacks.set(what, Date.now());
      await this.giveBack(held, token, OFFERED_AGAIN_MS);
      if (error instanceof Fault) await this.rest(Math.min(PAUSE_MS * 2 ** this.faults++, LONGEST_PAUSE_MS));
      else if (++this.passedOver >= PASSED_OVER) await this.rest(PAUSE_MS);
      return;
    }
    const failure = this.failureOf(error);
    const id = held.id ?? '';
    const { UnrecoverableError } = this.options.engine;
    const sweep = sweepIn(held.data);
    await this.tolerant(async () => {
      const taken = sweep === null ? null : await this.store.take(id);
      if (taken)
        await this.store.end({ id, sweep: sweep!, term: taken.term }, { parked: failure }, new Map(), NOTHING, 0);
      await held.moveToFailed(new UnrecoverableError(failure.message), token, false);
    });
    this.outcome.failed++;
    this.options.onEvent?.({ kind: 'failed', run: nameOf(held), message: failure.message, parked: true });
  }

  private async giveBack(held: HeldJob, token: string, ms: number): Promise<void> {
    await this.tolerant(() => held.moveToDelayed(Date.now() + ms, token));
  }

  /** From taking a run to its end; never throws. */
  private async work(holding: Holding, job: Job, places: Places): Promise<void> {
    const { id, token, held, stop } = holding;
    const { onEvent } = this.options;
    const patience = { signal: stop.signal, onWait: (why: string) => onEvent?.({ kind: 'waits', why }) };
    let term = 0;
    try {
      const soon = <T>(action: () => Promise<T>) => unless(stop.signal, patiently(action, patience));
      const taken = await soon(() => this.store.take(id));
      if (taken === null) {
        await this.tolerant(() => held.moveToCompleted(null, token, false)); // somebody has ended it, and died before this
        return;
      }
      term = taken.term;
      if (taken.starts > MAX_STARTS) {
        const what = `it was begun ${MAX_STARTS} times without coming further: its workers died, perhaps of it`;
        throw new IdatError('queue.starts', `${job.name}: ${what}`);
      }
      const history = await soon(() => this.store.history(id));
      const kept = await soon(() => this.store.files(id));
      onEvent?.({ kind: 'began', run: job.name, goesOn: kept.size > 0 });
      void this.sign();
      const made = await this.options.make({
        ...{ job, places, kept, history, signal: stop.signal },
        keep: (files, now) => this.keep(holding, term, files, now),
        onMemory: (peak, now) => this.memory.told(holding, peak, now),
        onProgress: (event) => {
          follow(holding, event);
          this.options.onProgress?.(event, job.name);
        },
      });
      const run = { id, sweep: job.sweep, term };
      // the signal does not hurry it: a run that has come to its end is not thrown away
      const until = { ...patience, signal: holding.farewell };
      const ending = patiently(() => this.store.end(run, 'done', made.files, made.history, made.seconds), until);
      const ended = await unless(holding.farewell, ending);
      if (!ended) {
        onEvent?.({ kind: 'lost', run: job.name });
        return;
      }
      await this.tolerant(() => held.moveToCompleted(null, token, false));
      this.outcome.done++;
      onEvent?.({ kind: 'done', run: job.name, seconds: made.seconds });
    } catch (error) {
      await this.afterwards(holding, job, term, error);
    }
  }

  /** A run that was stopped is handed back as it was saved; one that failed is tried again, or parked. */
  private async afterwards(holding: Holding, job: Job, term: number, error: unknown): Promise<void> {
    const { id, token, held, stop } = holding;
    const { onEvent, engine } = this.options;
    if (holding.lost) {
      onEvent?.({ kind: 'lost', run: job.name });
      await this.tolerant(() => held.moveToWait(token)); // where it is still ours after all
      return;
    }
    const { refused } = holding;
    // a process that was told to stop by somebody else has saved as well
    if (!refused && (stop.signal.aborted || (error instanceof IdatError && error.code.endsWith('.interrupted')))) {
      await this.tolerant(() => held.moveToWait(token));
      this.outcome.handedBack++;
      onEvent?.({ kind: 'handed-back', run: job.name });
      return;
    }
    const failure = this.failureOf(refused ?? error);
    await this.tolerant(async () => {
      const { sittings, failures } = await this.store.history(id);
      const again = failures.some(({ code, message }) => code === failure.code && message === failure.message);
      const history: History = { sittings, failures: [...failures, failure].slice(-MAX_FAILURES) };
      const last = again || failures.length + 1 >= MAX_ATTEMPTS || FOR_GOOD.has(failure.code);
      if (last) {
        await this.store.end({ id, sweep: job.sweep, term }, { parked: failure }, new Map(), history, 0);
        await held.moveToFailed(new engine.UnrecoverableError(failure.message), token, false);
      } else {
        await this.store.keep(id, term, new Map(), history, false);
        await held.moveToFailed(new Error(failure.message), token, false);
      }
      this.outcome.failed++;
      onEvent?.({ kind: 'failed', run: job.name, message: failure.message, parked: last });
    });
  }

  /** Keeps a state. A run that is another worker's by now, and one that no queue can carry, are stopped. */
  private async keep(holding: Holding, term: number, files: RunFiles, history: History): Promise<void> {
    const { id, stop, farewell: signal } = holding;
    const onWait = (why: string) => this.options.onEvent?.({ kind: 'waits', why });
    try {
      const keeping = patiently(() => this.store.keep(id, term, files, history, true), { signal, onWait });
      holding.lost ||= !(await unless(signal, keeping));
      if (holding.lost) stop.abort();
    } catch (error) {
      if (stop.signal.aborted) return; // it has waited long enough: others go on from what was kept before
      if (!(error instanceof IdatError)) throw error;
      holding.refused = error;
      stop.abort();
    }
  }

  /** Once more, where the server refuses for a while; what it refuses for good is as it is: the lock was lost. */
  private async tolerant(action: () => Promise<unknown>): Promise<void> {
    const late = this.farewell;
    await unless(late, patiently(action, { signal: late })).catch(() => {});
  }

  /** A run whose lock is gone is saved and let go: its place in the queue may be another's. */
  private async renewAll(): Promise<void> {
    const { held: looked, token: its } = this.considered ?? {};
    await looked?.extendLock(its!, this.silenceMs).catch(() => null);
    for (const holding of this.going.keys()) {
      const { held, token } = holding;
      const renewed = await held.extendLock(token, this.silenceMs).catch(() => null);
      if (renewed === 0 && this.going.has(holding) && !holding.stop.signal.aborted) {
        holding.lost = true;
        holding.stop.abort();
      }
    }
  }

  private failureOf(error: unknown): Failure {
    const known = error instanceof IdatError;
    const text = known ? error.message : String((error as Error)?.stack ?? error);
    // folders of workers differ, and what failed in them may be one and the same
    const message = text.replace(/\S*idat-worker-\S*?[\\/]run-\d+/g, 'the run').slice(0, 2000);
    return { code: known ? error.code.slice(0, 100) : 'run.bug', message, worker: this.name.slice(0, 200) };
  }

  private async sign(): Promise<void> {
    const { redis, queue, device, build } = this.options;
    for (const [what, at] of this.lacks) if (Date.now() - at > 12 * OFFERED_AGAIN_MS) this.lacks.delete(what);
    const sign: Sign = {
      ...{ name: this.name, lane: this.lane, build: build.says, device, cores: this.cores, slots: this.slots },
      done: this.outcome.done,
      runs: [...this.going.keys()].map(({ id, name, fraction, secondsLeft }) => ({ id, name, fraction, secondsLeft })),
      lacks: [...this.lacks.keys()].slice(0, 20).map((what) => what.slice(0, 1000)),
    };
    await giveSign(redis, queue, this.id, sign).catch(() => {});
  }
}

/** What is amiss on this machine. */
class Fault extends Lacking {}

/** As often a run is tried that fails for another reason each time. */
export const MAX_ATTEMPTS = 3;

/** What another attempt would come to as well. */
const FOR_GOOD: ReadonlySet<string> = new Set(['queue.starts', 'queue.size']);

const NOTHING: History = { sittings: [], failures: [] };

/** How far a run is, from what it tells. */
function follow(holding: Holding, event: Progress): void {
  if (event.kind !== 'step') return;
  holding.fraction = (event.epoch + event.step / event.steps) / event.epochs;
  holding.secondsLeft = event.secondsLeft;
}

const nameOf = ({ data, id }: HeldJob): string => {
  const { name } = (data ?? {}) as { name?: unknown };
  return printable(typeof name === 'string' ? name : (id ?? ''));
};

function sweepIn(data: unknown): string | null {
  const { sweep } = (data ?? {}) as { sweep?: unknown };
  return typeof sweep === 'string' && /^[0-9a-f-]{36}$/.test(sweep) ? sweep : null;
}

const aborted = (signal: AbortSignal): Promise<void> =>
  signal.aborted
    ? Promise.resolve()
    : new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));

/** Aborted some time after another signal. */
function farewellTo(signal: AbortSignal): AbortSignal {
  const late = new AbortController();
  void aborted(signal).then(() => setTimeout(() => late.abort(), FAREWELL_MS).unref());
  return late.signal;
}

/** Repeats something that does not overtake itself. */
function every(ms: number, action: () => Promise<void>): NodeJS.Timeout {
  let going = false;
  return setInterval(() => {
    if (going) return;
    going = true;
    void action().finally(() => {
      going = false;
    });
  }, ms);
}

/** What does not succeed in time is left. */
const inTime = (work: Promise<unknown>, ms: number): Promise<unknown> =>
  Promise.race([work.catch(() => {}), sleep(ms, undefined, { ref: false })]);
