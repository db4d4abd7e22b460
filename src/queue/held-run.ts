/** A run that a worker holds: from taking it to its end, or until it is handed back as it was saved. */
import { IdatError } from '../errors.js';
import type { MemoryGauge } from '../experiments/memory.js';
import type { Progress } from '../train/progress.js';
import type { HeldJob } from './engine.js';
import type { Job } from './job.js';
import type { LoopOptions } from './loop-options.js';
import type { MadeRun } from './make-run.js';
import { farewellTo, patiently, tolerantly, unless } from './patience.js';
import type { Places } from './places.js';
import type { Failure, History, RunFiles, RunStore } from './store.js';

/** What all runs of a worker share. */
export interface Bench {
  readonly options: LoopOptions;
  /** What the worker is called. */
  readonly worker: string;
  readonly store: RunStore;
  readonly memory: MemoryGauge;
  /** Aborted some time after the worker was told to leave. */
  readonly farewell: AbortSignal;
  readonly outcome: { done: number; failed: number; handedBack: number };
  /** Gives a sign of life with what is new. */
  sign(): Promise<void>;
}

/** As often a run is tried that fails for another reason each time. */
export const MAX_ATTEMPTS = 3;
/** A run that came no further in so many beginnings takes its workers with it. */
const MAX_STARTS = 10;
/** Of what befell a run so much is kept. */
const MAX_FAILURES = 50;
/** What another attempt would come to as well. */
const FOR_GOOD: ReadonlySet<string> = new Set(['queue.starts', 'queue.size']);

export class HeldRun {
  readonly id: string;
  readonly name: string;
  /** Share that is done, and seconds left. */
  fraction = 0;
  secondsLeft: number | null = null;
  /** Aborted when the worker leaves, or the run is another's. */
  private readonly stopping = new AbortController();
  /** So long what it has saved may wait for the server after that. */
  private readonly farewell = farewellTo(this.stopping.signal);
  private lost = false;
  /** Why it was stopped for good. */
  private refused: IdatError | null = null;
  private ended = false;
  private term = 0;

  constructor(
    private readonly held: HeldJob,
    private readonly token: string,
    private readonly job: Job,
    private readonly places: Places,
    readonly threads: number,
    private readonly bench: Bench,
  ) {
    this.id = held.id ?? '';
    this.name = job.name;
  }

  /** Asks it to save and hand back what it has. */
  stop(): void {
    this.stopping.abort();
  }

  /** A run whose lock is gone is saved and let go: its place in the queue may be another's. */
  async renew(ms: number): Promise<void> {
    const renewed = await this.held.extendLock(this.token, ms).catch(() => null);
    if (renewed !== 0 || this.ended || this.stopping.signal.aborted) return;
    this.lost = true;
    this.stop();
  }

  /** From taking a run to its end; never throws. */
  async work(): Promise<void> {
    try {
      const made = await this.make();
      if (made) await this.end(made);
      // somebody has ended it, and died before saying so
      else await this.tolerant(() => this.held.moveToCompleted(null, this.token, false));
    } catch (error) {
      await this.afterwards(error);
    } finally {
      this.ended = true;
    }
  }

  /** Null where the run has ended already. */
  private async make(): Promise<MadeRun | null> {
    const { id, job, places, bench } = this;
    const { store, memory, options } = bench;
    const { signal } = this.stopping;
    const patience = { signal, onWait: this.onWait };
    const soon = <T>(action: () => Promise<T>) => unless(signal, patiently(action, patience));
    const taken = await soon(() => store.take(id));
    if (taken === null) return null;
    this.term = taken.term;
    if (taken.starts > MAX_STARTS) {
      const what = `it was begun ${MAX_STARTS} times without coming further: its workers died, perhaps of it`;
      throw new IdatError('queue.starts', `${job.name}: ${what}`);
    }
    const history = await soon(() => store.history(id));
    const kept = await soon(() => store.files(id));
    options.onEvent?.({ kind: 'began', run: job.name, goesOn: kept.size > 0 });
    void bench.sign();
    return options.make({
      ...{ job, places, kept, history, signal },
      keep: (files, now) => this.keep(files, now),
      onMemory: (peak, now) => memory.told(this, peak, now),
      onProgress: (event) => {
        this.follow(event);
        options.onProgress?.(event, job.name);
      },
    });
  }

  private async end({ files, history, seconds }: MadeRun): Promise<void> {
    const { id, job, term, farewell, bench } = this;
    const { store, options, outcome } = bench;
    const run = { id, sweep: job.sweep, term };
    // the signal does not hurry it: a run that has come to its end is not thrown away
    const until = { signal: farewell, onWait: this.onWait };
    const ended = await unless(
      farewell,
      patiently(() => store.end(run, 'done', files, history, seconds), until),
    );
    if (!ended) {
      options.onEvent?.({ kind: 'lost', run: job.name });
      return;
    }
    await this.tolerant(() => this.held.moveToCompleted(null, this.token, false));
    outcome.done++;
    options.onEvent?.({ kind: 'done', run: job.name, seconds });
  }

  /** A run that was stopped is handed back as it was saved; one that failed is tried again, or parked. */
  private async afterwards(error: unknown): Promise<void> {
    const { held, token, job, bench, refused } = this;
    const { onEvent } = bench.options;
    if (this.lost) {
      onEvent?.({ kind: 'lost', run: job.name });
      await this.tolerant(() => held.moveToWait(token)); // where it is still ours after all
      return;
    }
    // a process that was told to stop by somebody else has saved as well
    const stopped = this.stopping.signal.aborted || (error instanceof IdatError && error.code.endsWith('.interrupted'));
    if (!refused && stopped) {
      await this.tolerant(() => held.moveToWait(token));
      bench.outcome.handedBack++;
      onEvent?.({ kind: 'handed-back', run: job.name });
      return;
    }
    await this.tolerant(() => this.fail(failureOf(refused ?? error, bench.worker)));
  }

  private async fail(failure: Failure): Promise<void> {
    const { id, held, token, job, term, bench } = this;
    const { store, options, outcome } = bench;
    const { sittings, failures } = await store.history(id);
    const again = failures.some(({ code, message }) => code === failure.code && message === failure.message);
    const history: History = { sittings, failures: [...failures, failure].slice(-MAX_FAILURES) };
    const parked = again || failures.length + 1 >= MAX_ATTEMPTS || FOR_GOOD.has(failure.code);
    if (parked) {
      await store.end({ id, sweep: job.sweep, term }, { parked: failure }, new Map(), history, 0);
      await held.moveToFailed(new options.engine.UnrecoverableError(failure.message), token, false);
    } else {
      await store.keep(id, term, new Map(), history, false);
      await held.moveToFailed(new Error(failure.message), token, false);
    }
    outcome.failed++;
    options.onEvent?.({ kind: 'failed', run: job.name, message: failure.message, parked });
  }

  /** Keeps a state. A run that is another worker's by now, and one that no queue can carry, are stopped. */
  private async keep(files: RunFiles, history: History): Promise<void> {
    const { id, term, farewell: signal, bench } = this;
    try {
      const until = { signal, onWait: this.onWait };
      const keeping = patiently(() => bench.store.keep(id, term, files, history, true), until);
      this.lost ||= !(await unless(signal, keeping));
      if (this.lost) this.stop();
    } catch (error) {
      if (this.stopping.signal.aborted) return; // it has waited long enough: others go on from what was kept before
      if (!(error instanceof IdatError)) throw error;
      this.refused = error;
      this.stop();
    }
  }

  /** How far it is, from what it tells. */
  private follow(event: Progress): void {
    if (event.kind !== 'step') return;
    this.fraction = (event.epoch + event.step / event.steps) / event.epochs;
    this.secondsLeft = event.secondsLeft;
  }

  private readonly onWait = (why: string): void => this.bench.options.onEvent?.({ kind: 'waits', why });

  private tolerant(action: () => Promise<unknown>): Promise<void> {
    return tolerantly(action, this.bench.farewell);
  }
}

export function failureOf(error: unknown, worker: string): Failure {
  const known = error instanceof IdatError;
  const text = known ? error.message : String((error as Error)?.stack ?? error);
  // folders of workers differ, and what failed in them may be one and the same
  const message = text.replace(/\S*idat-worker-\S*?[\\/]run-\d+/g, 'the run').slice(0, 2000);
  return { code: known ? error.code.slice(0, 100) : 'run.bug', message, worker: worker.slice(0, 200) };
}
