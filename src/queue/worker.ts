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
import { type HeldJob, isPassing, type JobQueue, type JobSource, PREFIX } from './engine.js';
import { type Bench, failureOf, HeldRun } from './held-run.js';
import { checkedJob, type Job, settingsOf, threadsOf } from './job.js';
import { laneOf } from './lane.js';
import type { LoopOptions, WorkerOutcome } from './loop-options.js';
import { farewellTo, tolerantly, unless } from './patience.js';
import { Lacking, type Places } from './places.js';
import { giveSign, SIGN_MS, type Sign, withdrawSign } from './signs.js';
import { type History, RunStore } from './store.js';

export const SILENCE_OF_JOB_MS = 60_000;
/** Given back for want of something, a run is offered again after so long. */
const OFFERED_AGAIN_MS = 5000;
/** So many runs in a row are passed over before there is a pause. */
const PASSED_OVER = 20;
const PAUSE_MS = 1000;
/** After each fault of this machine in a row the pause is doubled, up to this. */
const LONGEST_PAUSE_MS = 60_000;

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
  private readonly slots: number;
  private readonly cores = usableCores();
  /** Threads at a time: as many as there are cores, or as its owner says. */
  private readonly threads: number;
  private readonly lane: string;
  private readonly silenceMs: number;
  private readonly source: JobSource;
  private readonly bench: Bench;
  private readonly going = new Map<HeldRun, Promise<void>>();
  private readonly lacks = new Map<string, number>();
  private readonly timers: NodeJS.Timeout[] = [];
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
    this.slots = options.slots ?? this.cores;
    this.threads = Math.max(this.cores, this.slots);
    this.lane = laneOf(queue, build.key, device);
    this.silenceMs = silenceMs;
    this.bench = {
      options,
      worker: options.name ?? `${hostname()}-${process.pid}`,
      store: new RunStore(redis, queue),
      memory: new MemoryGauge(),
      farewell: farewellTo(signal),
      outcome: { done: 0, failed: 0, handedBack: 0 },
      sign: () => this.sign(),
    };
    this.source = new engine.Worker(this.lane, null, {
      ...{ connection: redis, prefix: PREFIX, name: this.bench.worker, autorun: false, drainDelay: 5 },
      ...{ lockDuration: silenceMs, stalledInterval: Math.max(1000, silenceMs / 2) },
      maxStalledCount: Number.MAX_SAFE_INTEGER, // the store counts beginnings without progress
    });
    this.source.on('error', () => {}); // what a command meets is told by who has given it
  }

  async run(): Promise<WorkerOutcome> {
    const { build, onEvent } = this.options;
    await this.source.waitUntilReady();
    await this.source.startStalledCheckTimer();
    onEvent?.({ kind: 'joined', name: this.bench.worker, build: build.says, slots: this.slots });
    await this.sign();
    this.timers.push(
      every(SIGN_MS, () => this.sign()),
      every(this.silenceMs / 4, () => this.renewAll()),
    );
    const onAbort = () => {
      for (const run of this.going.keys()) run.stop();
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
    return this.bench.outcome;
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
    if (busy > 0 && (busy + threads > this.threads || !(await this.bench.memory.fits(settings)))) {
      await this.giveBack(held, token, PAUSE_MS);
      await this.untilChange();
      return;
    }
    [this.passedOver, this.faults] = [0, 0];
    const run = new HeldRun(held, token, job, places, threads, this.bench);
    if (this.signal.aborted) run.stop();
    this.bench.memory.begin(run, settings);
    const work = run.work().finally(() => {
      this.bench.memory.end(run);
      this.going.delete(run);
      void this.sign();
    });
    this.going.set(run, work);
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
    const failure = failureOf(error, this.bench.worker);
    const id = held.id ?? '';
    const { UnrecoverableError } = this.options.engine;
    const { store, outcome } = this.bench;
    const sweep = sweepIn(held.data);
    await this.tolerant(async () => {
      const taken = sweep === null ? null : await store.take(id);
      if (taken) await store.end({ id, sweep: sweep!, term: taken.term }, { parked: failure }, new Map(), NOTHING, 0);
      await held.moveToFailed(new UnrecoverableError(failure.message), token, false);
    });
    outcome.failed++;
    this.options.onEvent?.({ kind: 'failed', run: nameOf(held), message: failure.message, parked: true });
  }

  private async giveBack(held: HeldJob, token: string, ms: number): Promise<void> {
    await this.tolerant(() => held.moveToDelayed(Date.now() + ms, token));
  }

  private tolerant(action: () => Promise<unknown>): Promise<void> {
    return tolerantly(action, this.bench.farewell);
  }

  /** Says that what it holds is still its own. */
  private async renewAll(): Promise<void> {
    const { held, token } = this.considered ?? {};
    await held?.extendLock(token!, this.silenceMs).catch(() => null);
    for (const run of this.going.keys()) await run.renew(this.silenceMs);
  }

  private async sign(): Promise<void> {
    const { redis, queue, device, build } = this.options;
    const { worker, outcome } = this.bench;
    for (const [what, at] of this.lacks) if (Date.now() - at > 12 * OFFERED_AGAIN_MS) this.lacks.delete(what);
    const sign: Sign = {
      ...{ name: worker, lane: this.lane, build: build.says, device, cores: this.cores, slots: this.slots },
      done: outcome.done,
      runs: [...this.going.keys()].map(({ id, name, fraction, secondsLeft }) => ({ id, name, fraction, secondsLeft })),
      lacks: [...this.lacks.keys()].slice(0, 20).map((what) => what.slice(0, 1000)),
    };
    await giveSign(redis, queue, this.id, sign).catch(() => {});
  }
}

/** What is amiss on this machine. */
class Fault extends Lacking {}

const NOTHING: History = { sittings: [], failures: [] };

const nameOf = ({ data, id }: HeldJob): string => {
  const { name } = (data ?? {}) as { name?: unknown };
  return printable(typeof name === 'string' ? name : (id ?? ''));
};

function sweepIn(data: unknown): string | null {
  const { sweep } = (data ?? {}) as { sweep?: unknown };
  return typeof sweep === 'string' && /^[0-9a-f-]{36}$/.test(sweep) ? sweep : null;
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
