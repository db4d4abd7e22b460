/** What was begun from the page: each in a process of its own, trainings one after the other. */
import { randomBytes } from 'node:crypto';
import { IdatError } from '../errors.js';
import type { Progress } from '../train/progress.js';
import type { JobKind, ShownJob } from './page/api.js';

/** What a job tells while it works. */
export interface JobControl {
  readonly signal: AbortSignal;
  onProgress(event: Progress): void;
  /** Where it is, where its events do not say it. */
  says(text: string, fraction: number | null, secondsLeft?: number | null): void;
  note(text: string): void;
}

export interface JobRequest {
  readonly kind: JobKind;
  readonly about: string;
  readonly command: string;
  work(control: JobControl): Promise<unknown>;
  /** Takes away what was made for it, where it never begins. */
  undo?(): Promise<unknown>;
}

/** Of those that have ended so many are remembered, and of each so many notes. */
const [MOST_ENDED, MOST_NOTES] = [50, 12];
/** Waiting ones; a page that asks for more is not a person's. */
const MOST_WAITING = 200;
/** How often progress is told. */
const TELL_MS = 250;

interface Job {
  shown: ShownJob;
  readonly request: JobRequest;
  readonly stop: AbortController;
  told: number;
}

/** Those that use all cores take turns; the others go beside them, one at a time as well. */
const laneOf = (kind: JobKind): 'training' | 'looking' =>
  kind === 'train' || kind === 'resume' || kind === 'sweep' ? 'training' : 'looking';

export class Jobs {
  private readonly jobs = new Map<string, Job>();
  private readonly going = new Map<'training' | 'looking', Promise<void>>();
  private readonly undone: Promise<unknown>[] = [];
  private closing = false;

  /** @param onChange told of every change, with what a run told where it did */
  constructor(private readonly onChange: (job: ShownJob, event?: Progress) => void) {}

  get all(): ShownJob[] {
    return [...this.jobs.values()].map(({ shown }) => shown);
  }

  /** What is at work on a run or is about to be. */
  activeOn(about: string): ShownJob | undefined {
    return this.all.find((job) => job.about === about && (job.state === 'running' || job.state === 'waiting'));
  }

  /** @throws IdatError `studio.busy` when too much waits already */
  add(request: JobRequest): ShownJob {
    const waiting = this.all.filter(({ state }) => state === 'waiting').length;
    if (waiting >= MOST_WAITING) {
      this.undone.push(request.undo?.() ?? Promise.resolve());
      throw new IdatError('studio.busy', `${waiting} tasks wait already; stop some of them`);
    }
    const { kind, about, command } = request;
    const shown: ShownJob = {
      ...{ id: randomBytes(6).toString('hex'), kind, about, command, state: 'waiting' },
      ...{ says: 'waits for its turn', fraction: null, secondsLeft: null, notes: [], error: null },
      began: new Date().toISOString(),
    };
    const job: Job = { shown, request, stop: new AbortController(), told: 0 };
    this.jobs.set(shown.id, job);
    this.onChange(shown);
    this.forget();
    this.begin(laneOf(kind));
    return this.jobs.get(shown.id)?.shown ?? shown;
  }

  /** Asks a job to stop, which saves first. @throws IdatError `studio.job` for one that is not there */
  stop(id: string): ShownJob {
    const job = this.jobs.get(id);
    if (!job) throw new IdatError('studio.job', 'this task is not there any more');
    if (job.shown.state === 'running') this.change(job, { says: 'stopping after this step' });
    job.stop.abort();
    if (job.shown.state === 'waiting') {
      this.change(job, { state: 'stopped', says: 'stopped before it began' });
      this.undone.push(job.request.undo?.() ?? Promise.resolve());
    }
    return job.shown;
  }

  /** Stops all and waits until they have saved. */
  async close(): Promise<void> {
    this.closing = true;
    for (const { shown } of this.jobs.values()) this.stop(shown.id);
    await Promise.all([...this.going.values(), ...this.undone]);
  }

  private begin(lane: 'training' | 'looking'): void {
    if (this.closing || this.going.has(lane)) return;
    const next = [...this.jobs.values()].find(({ shown }) => shown.state === 'waiting' && laneOf(shown.kind) === lane);
    if (!next) return;
    const work = this.work(next).finally(() => {
      this.going.delete(lane);
      this.begin(lane);
    });
    this.going.set(lane, work);
  }

  private async work(job: Job): Promise<void> {
    this.change(job, { state: 'running', says: 'begins' });
    const { signal } = job.stop;
    const note = (text: string) => this.change(job, { notes: [...job.shown.notes, text].slice(-MOST_NOTES) });
    try {
      await job.request.work({
        signal,
        note,
        says: (says, fraction, secondsLeft = null) => this.tellSometimes(job, { says, fraction, secondsLeft }),
        onProgress: (event) => {
          if (event.kind === 'note') note(event.text);
          else this.tellSometimes(job, positionOf(event), event);
        },
      });
      this.change(job, { state: 'done', says: 'done', fraction: 1, secondsLeft: null });
    } catch (error) {
      const stopped = signal.aborted && error instanceof IdatError && error.code.endsWith('.interrupted');
      const { message } = error as Error;
      if (stopped) this.change(job, { state: 'stopped', says: 'stopped, with all saved', secondsLeft: null });
      else this.change(job, { state: 'failed', says: 'failed', error: message, secondsLeft: null });
    }
  }

  private tellSometimes(job: Job, part: Partial<ShownJob>, event?: Progress): void {
    const now = performance.now();
    const due = now - job.told >= TELL_MS || event?.kind === 'epoch';
    if (due) job.told = now;
    job.shown = { ...job.shown, ...(job.stop.signal.aborted ? {} : part) };
    if (due) this.onChange(job.shown, event);
  }

  private change(job: Job, part: Partial<ShownJob>): void {
    job.shown = { ...job.shown, ...part };
    this.onChange(job.shown);
  }

  private forget(): void {
    const ended = [...this.jobs.values()].filter(({ shown }) => shown.state !== 'running' && shown.state !== 'waiting');
    for (const { shown } of ended.slice(0, Math.max(0, ended.length - MOST_ENDED))) this.jobs.delete(shown.id);
  }
}

/** Where a job is, from what it tells. */
function positionOf(event: Exclude<Progress, { kind: 'note' }>): Partial<ShownJob> {
  switch (event.kind) {
    case 'fetch':
      return { says: `fetches ${event.name}`, fraction: event.total && event.done / event.total };
    case 'decode':
      return { says: `reads images, ${event.done} of ${event.total}`, fraction: event.done / event.total };
    case 'evaluate':
      return { says: `looks at ${event.split}, ${event.done} of ${event.total}`, fraction: event.done / event.total };
    case 'estimate':
      return { says: 'has measured how long it takes', secondsLeft: event.seconds };
    case 'epoch':
      return { says: `epoch ${event.epoch + 1} of ${event.epochs}`, fraction: (event.epoch + 1) / event.epochs };
    case 'step': {
      const { phase, epoch, epochs, step, steps, secondsLeft } = event;
      const what = phase === 'select' ? 'choosing the length, epoch' : 'epoch';
      return {
        says: `${what} ${epoch + 1} of ${epochs}`,
        fraction: (epoch + step / steps) / epochs,
        secondsLeft,
      };
    }
  }
}
