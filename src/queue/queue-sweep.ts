/**
 * A sweep whose runs other machines make: each goes into the queue as a job, and comes back as a directory. The sweep may be
 * stopped, killed and started again: what is in the queue stays there, and what has ended meanwhile is fetched.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { IdatError } from '../errors.js';
import { finishedHere, type RunStatus } from '../experiments/schedule.js';
import {
  type PreparedSweep,
  type SweepControl,
  type SweepOutcome,
  type SweepParts,
  withResults,
} from '../experiments/sweep.js';
import { sha256OfFiles } from '../files/node/sha256.js';
import { parseQueueUrl } from './address.js';
import { thisBuild } from './build.js';
import { connect, type Engine, loadEngine, type RedisClient } from './engine.js';
import { mixedMachines, writeFetched } from './fetched-run.js';
import { type Job, jobId, travelling } from './job.js';
import { deviceOf, laneOf } from './lane.js';
import { patiently, unless } from './patience.js';
import { type QueueSnapshot, SnapshotReader } from './snapshot.js';
import { RunStore } from './store.js';
import { readSweepId, sweepIdOf } from './sweep-file.js';
import { type LaidJob, SweepJobs } from './sweep-jobs.js';
import { type Wanted, WantedSources } from './wanted.js';
import { withdrawAll, withdrawJobs } from './withdraw.js';

export interface QueueSweepOptions {
  /** `redis://HOST:PORT` or `rediss://…`; user and password may stand in the environment. */
  readonly queue: string;
  /** Lower ones come first, among all sweeps of the queue; default 100. */
  readonly priority?: number;
  /** Data sets and checkpoints of up to so many bytes reach workers through the queue's store; default 64 MiB, 0: none. */
  readonly carryBytes?: number;
}

export interface QueueSweepControl extends SweepControl {
  /** Told every second how the whole queue stands. */
  readonly onSnapshot?: (snapshot: QueueSnapshot) => void;
  /** Told what is worth knowing, in a sentence. */
  readonly onNote?: (text: string) => void;
}

const CARRY_BYTES = 64 * 2 ** 20;
const PRIORITY = 100;
/** So many jobs of a sweep lie in the queue at a time: a server's memory holds them all. */
const WINDOW = 5000;
const BULK = 500;
/** A disk and a network are kept busy by a few. */
const FETCHED_AT_ONCE = 8;
const LOOK_MS = 1000;
/** How often it is looked whether the server has lost something. */
const RECONCILE_MS = 30_000;
/** A run that lies in the queue. */
interface Queued extends LaidJob {
  readonly status: RunStatus;
  readonly wanted: Wanted;
}

/**
 * Makes all runs of a sweep by the workers of a queue.
 * @throws IdatError `config.queue`, `queue.missing`, `queue.connect`; `sweep.interrupted` when the signal stopped it
 */
export async function runQueueSweep(
  prepared: PreparedSweep,
  options: QueueSweepOptions,
  control: QueueSweepControl = {},
): Promise<SweepOutcome> {
  const address = parseQueueUrl(options.queue, process.env);
  const engine = await loadEngine();
  const redis = await connect(engine, address);
  const total = prepared.statuses.length;
  const stopped = (done: number) =>
    `stopped with ${done} of ${total} runs done; the others stay in the queue, and the same command fetches them`;
  try {
    return await withResults(prepared, control, stopped, async (parts) => {
      const sweep = new QueueSweep(prepared, options, control, parts, engine, redis, address.name);
      try {
        await sweep.run();
      } catch (error) {
        if (!parts.signal.aborted) throw error;
      } finally {
        await sweep.close();
      }
    });
  } finally {
    redis.disconnect();
  }
}

/**
 * Takes what a sweep has in the queue out of it again; runs that are under way stop after their epoch.
 * @returns how many were waiting
 */
export async function withdrawSweep(prepared: PreparedSweep, options: QueueSweepOptions): Promise<number> {
  const address = parseQueueUrl(options.queue, process.env);
  const engine = await loadEngine();
  const redis = await connect(engine, address);
  try {
    const id = await readSweepId(prepared.out);
    return id === null ? 0 : await withdrawAll(engine, redis, address.name, id);
  } finally {
    redis.disconnect();
  }
}

class QueueSweep {
  private readonly store: RunStore;
  private readonly queued = new Map<string, Queued>();
  private readonly snapshots: SnapshotReader;
  private readonly build = thisBuild();
  /** Runs that another process of this sweep is fetching, or making. */
  private readonly taken = new Set<string>();
  private sweep = '';
  private jobs!: SweepJobs;
  private sources!: WantedSources;
  private folder = '';
  private modules: Job['modules'] = [];
  private waitsFor = '';

  constructor(
    private readonly prepared: PreparedSweep,
    private readonly options: QueueSweepOptions,
    private readonly control: QueueSweepControl,
    private readonly parts: SweepParts,
    private readonly engine: Engine,
    private readonly redis: RedisClient,
    private readonly queue: string,
  ) {
    this.store = new RunStore(redis, queue);
    this.snapshots = new SnapshotReader(engine, redis, queue);
  }

  async run(): Promise<void> {
    const { signal } = this.parts;
    this.sweep = await sweepIdOf(this.prepared.out);
    const { priority = PRIORITY } = this.options;
    this.jobs = new SweepJobs(this.engine, this.redis, this.queue, this.sweep, priority, this.waiting);
    this.folder = await mkdtemp(join(tmpdir(), 'idat-sweep-'));
    this.sources = new WantedSources(this.folder, this.options.carryBytes ?? CARRY_BYTES, {
      signal,
      onProgress: (event) => event.kind === 'note' && this.control.onNote?.(event.text),
    });
    for (const path of this.prepared.modules) {
      this.modules.push({ name: basename(path), sha256: await sha256OfFiles([path]) });
    }
    const waiting = this.prepared.statuses.filter(({ state }) => state === 'waiting');
    await this.withdrawOtherBuilds();
    let reconciled = performance.now();
    while (!signal.aborted) {
      await this.fill(waiting);
      await this.fetchEnded();
      await this.look();
      if (waiting.length === 0 && this.queued.size === 0) break;
      if (performance.now() - reconciled > RECONCILE_MS) {
        reconciled = performance.now();
        await this.reconcile();
      }
      await sleep(LOOK_MS, undefined, { signal }).catch(() => {});
    }
    if (!signal.aborted) await this.clearUp();
  }

  async close(): Promise<void> {
    await this.snapshots.close();
    await this.jobs?.close();
    if (this.folder !== '') await rm(this.folder, { recursive: true, force: true });
  }

  /** Puts as many runs into the queue as it should hold. */
  private async fill(waiting: RunStatus[]): Promise<void> {
    while (waiting.length > 0 && this.queued.size < WINDOW && !this.parts.signal.aborted) {
      const batch: Queued[] = [];
      while (batch.length < BULK && waiting.length > 0 && this.queued.size + batch.length < WINDOW) {
        const made = await this.queuedOf(waiting.shift()!);
        if (made) batch.push(made);
        if (this.parts.signal.aborted) break;
      }
      for (const one of batch) this.queued.set(one.id, one);
      await this.submit(batch);
    }
  }

  /** A run as a job; null where it is finished, or cannot be made. */
  private async queuedOf(status: RunStatus): Promise<Queued | null> {
    const { run } = status;
    try {
      const before = await finishedHere(status);
      const refused = before ? null : await this.parts.refuse(run);
      if (refused) throw refused;
      const wanted = await this.sources.of(run);
      const job: Job = {
        ...{ format: 'idat-job-1' as const, sweep: this.sweep, name: run.name, modules: this.modules },
        settings: travelling(run.request as unknown as Record<string, unknown>),
        ...{ images: wanted.images, student: wanted.student, teacher: wanted.teacher },
      };
      const lane = laneOf(this.queue, this.build.key, deviceOf(run.settings));
      const queued = { status, job, wanted, lane, id: jobId(job, lane) };
      if (!before) return queued;
      this.settle(status, before);
      await this.waiting(() => this.store.drop(queued.id, this.sweep));
      return null;
    } catch (error) {
      if (!(error instanceof IdatError)) throw error;
      if (this.parts.signal.aborted) return null;
      this.fail(status, error);
      return null;
    }
  }

  /**
   * What the same folder's sweep has put there as another version of idat is put there anew by this one. Jobs of this build that
   * are none of this plan may be those of another plan that is at work at the folder, too.
   */
  private async withdrawOtherBuilds(): Promise<void> {
    const own = laneOf(this.queue, this.build.key, '');
    const others = (lane: string) => !lane.startsWith(own);
    await this.waiting(() => withdrawJobs(this.engine, this.redis, this.queue, this.sweep, others));
  }

  /**
   * A job that waits there already is put there anew, as it may come first now, or bring its images; one that somebody is at
   * is left; one that was given up is opened again.
   */
  private async submit(batch: readonly Queued[]): Promise<void> {
    for (const { wanted } of batch) await this.jobs.carry(wanted.carried);
    const open: Queued[] = [];
    for (const one of batch) {
      if (await this.waiting(() => this.store.reopen(one.id, this.sweep))) open.push(one);
      else await this.fetch(one);
    }
    await this.jobs.remove(open);
    await this.jobs.add(open);
  }

  private async fetchEnded(): Promise<void> {
    const ended = await this.waiting(() => this.store.ended(this.sweep));
    const own = [...new Set([...ended, ...this.taken])].flatMap((id) => this.queued.get(id) ?? []);
    this.taken.clear();
    for (let at = 0; at < own.length && !this.parts.signal.aborted; at += FETCHED_AT_ONCE) {
      await Promise.all(own.slice(at, at + FETCHED_AT_ONCE).map((one) => this.fetch(one)));
    }
  }

  /** Brings a run home, or its failure. */
  private async fetch(one: Queued): Promise<void> {
    const { status, id, job, wanted } = one;
    const ending = await this.waiting(() => this.store.ending(id));
    if (ending === null) {
      await this.isFetched(one);
      return;
    }
    this.queued.delete(id);
    try {
      if (ending !== 'done') {
        const { code, message, worker } = ending.parked;
        throw new IdatError(
          code,
          worker === '' ? message : `${message} (worker ${worker}; the same command tries again)`,
        );
      }
      const files = await this.waiting(() => this.store.files(id));
      const history = await this.waiting(() => this.store.history(id));
      const result = await writeFetched(status, job, wanted, files, history);
      const mixed = mixedMachines(history);
      if (mixed !== null) this.control.onNote?.(`${status.run.name}: ${mixed}`);
      this.settle(status, result);
      await this.waiting(() => this.store.forget(id, this.sweep));
    } catch (error) {
      if (!(error instanceof IdatError)) throw error;
      if (error.code === 'files.locked') {
        this.queued.set(id, one);
        this.taken.add(id);
        return;
      }
      this.fail(status, error);
      // what could not be written here stays there for the next start; what is not the run goes
      const isOurs = /^(files\.|run\.(directory|locked))/.test(error.code);
      if (ending === 'done' && !isOurs) await this.waiting(() => this.store.drop(id, this.sweep));
    }
  }

  /** What workers say of this sweep's runs, and of themselves. */
  private async look(): Promise<void> {
    try {
      const snapshot = await this.snapshots.read();
      const signs = snapshot.workers;
      const going = new Map(signs.flatMap(({ runs }) => runs.map((run) => [run.id, run] as const)));
      for (const { status, id } of this.queued.values()) {
        const run = going.get(id);
        const state = run ? 'running' : 'waiting';
        if (!run && status.state === state) continue;
        Object.assign(status, { state, ...(run && { fraction: run.fraction, secondsLeft: run.secondsLeft }) });
        this.parts.onChange(status);
      }
      this.control.onSnapshot?.(snapshot);
      this.tellOfWorkers(signs);
    } catch {
      // a server that is away is waited for where something depends on it
    }
  }

  private tellOfWorkers(signs: QueueSnapshot['workers']): void {
    const lanes = new Set([...this.queued.values()].map(({ lane }) => lane));
    const own = signs.filter(({ lane }) => lanes.has(lane));
    const lacks = [...new Set(own.flatMap((sign) => sign.lacks))].sort();
    let text = '';
    if (this.queued.size > 0 && own.length === 0) {
      const others = [...new Set(signs.map(({ build, device }) => `${build} for ${device}`))];
      const there = others.length === 0 ? 'none is there' : `those that are there have ${others.join('; ')}`;
      text = `waiting for a worker with ${this.build.says}: ${there}`;
    } else if (lacks.length > 0 && !own.some(({ runs }) => runs.length > 0)) text = `workers lack: ${lacks.join('; ')}`;
    if (text !== '' && text !== this.waitsFor) this.control.onNote?.(text);
    this.waitsFor = text;
  }

  /**
   * A server that was restarted without all it had is given again what it lacks, files first; what is there is left, and kept
   * for longer. What another process of this sweep has fetched meanwhile is done.
   */
  private async reconcile(): Promise<void> {
    await this.jobs.carryAgain();
    const all = [...this.queued.values()];
    for (let at = 0; at < all.length && !this.parts.signal.aborted; at += BULK) {
      const batch = all.slice(at, at + BULK);
      if (await this.jobs.hasAll(batch)) continue;
      const missing: Queued[] = [];
      for (const one of batch) if (!(await this.hasEnded(one))) missing.push(one);
      await this.jobs.add(missing);
    }
  }

  /** Whether nobody needs to make it: it waits to be fetched, or was. */
  private async hasEnded(one: Queued): Promise<boolean> {
    return (await this.waiting(() => this.store.ending(one.id))) !== null || (await this.isFetched(one));
  }

  private async isFetched({ id, status }: Queued): Promise<boolean> {
    if (!(await this.waiting(() => this.store.isFetched(id)))) return false;
    const result = await finishedHere(status);
    if (!result) {
      await this.waiting(() => this.store.reopen(id, this.sweep));
      return false;
    }
    this.queued.delete(id);
    this.settle(status, result);
    return true;
  }

  /** What only this sweep had put there goes; runs that were given up, or could not be written here, stay a while. */
  private async clearUp(): Promise<void> {
    await this.jobs.dropFiles();
    await this.store.leave(this.sweep).catch(() => {});
  }

  /** What a command comes to, however long the server is away. */
  private readonly waiting = <T>(action: () => Promise<T>): Promise<T> => {
    const { signal } = this.parts;
    const onWait = (why: string) => this.control.onNote?.(`the queue's server does not obey (${why}); waiting for it`);
    return unless(signal, patiently(action, { signal, onWait }));
  };

  private settle(status: RunStatus, result: NonNullable<RunStatus['result']>): void {
    Object.assign(status, { state: 'done', result, fraction: 1, secondsLeft: 0 });
    this.parts.onChange(status);
  }
  private fail(status: RunStatus, error: IdatError): void {
    Object.assign(status, { state: 'failed', error, secondsLeft: null });
    this.parts.onChange(status);
  }
}
