/**
 * What the page knows, kept up by one stream of events. All of it is bounded: runs by the folder, tasks by the server, epochs by the
 * one run that is looked at, steps by the last one.
 */
import { useEffect, useState } from 'preact/hooks';
import type { EpochMetrics } from '../../settings/record.js';
import type { LiveStep, ShownJob, ShownRemoved, ShownRun, ShownState, StudioEvent } from './api.js';
import type { ListedRow } from './select-runs.js';

/** `lost`: the server does not let the page in any more. */
export type Connection = 'opening' | 'open' | 'waiting' | 'lost';

export interface Toast {
  readonly id: number;
  readonly text: string;
  readonly bad: boolean;
  readonly action?: { readonly label: string; readonly run: () => void };
}

/** Of the run that is looked at. */
interface Watched {
  readonly name: string;
  epochs: readonly EpochMetrics[];
  step: LiveStep | null;
  secondsLeft: number | null;
}

const MOST_TOASTS = 4;
const TOAST_MS = 12_000;
const MOST_JOBS = 80;
/** What has changed is drawn after so long, with or without a frame. */
const LATEST_MS = 500;

class Store {
  readonly runs = new Map<string, ShownRun>();
  readonly jobs = new Map<string, ShownJob>();
  removed: readonly ShownRemoved[] = [];
  connection: Connection = 'opening';
  /** Whether the first list has come. */
  known = false;
  watched: Watched | null = null;
  toasts: readonly Toast[] = [];
  /** Tasks that nobody wants to see any more. */
  private readonly dismissed = new Set<string>();
  private source: EventSource | null = null;
  private readonly listeners = new Set<() => void>();
  private drawing = 0;
  private toastId = 0;
  /** How often the page was drawn anew. */
  drawn = 0;

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** However many events come, the page is drawn once a frame. */
  private changed(): void {
    if (this.drawing !== 0) return;
    const draw = () => {
      if (this.drawing === 0) return;
      window.clearTimeout(this.drawing);
      this.drawing = 0;
      this.drawn++;
      for (const listener of [...this.listeners]) listener();
    };
    // a page that is not seen has no frames
    this.drawing = window.setTimeout(draw, LATEST_MS);
    window.requestAnimationFrame(draw);
  }

  /** Opens the stream, of one run or of none; the one before is closed. */
  watch(name: string | null): void {
    if (this.source && (this.watched?.name ?? null) === name) return;
    this.source?.close();
    this.watched = name === null ? null : { name, epochs: [], step: null, secondsLeft: null };
    const source = new EventSource(name === null ? 'api/events' : `api/events?run=${encodeURIComponent(name)}`);
    this.source = source;
    source.onopen = () => this.connect('open');
    source.onerror = () => this.connect(source.readyState === EventSource.CLOSED ? 'lost' : 'waiting');
    source.onmessage = ({ data }) => {
      if (this.source === source) this.take(JSON.parse(data as string) as StudioEvent);
    };
    this.changed();
  }

  close(): void {
    this.source?.close();
    this.source = null;
  }

  private connect(connection: Connection): void {
    this.connection = connection;
    this.changed();
  }

  private take(event: StudioEvent): void {
    switch (event.kind) {
      case 'all':
        this.runs.clear();
        this.jobs.clear();
        for (const run of event.runs) this.runs.set(run.name, run);
        for (const id of this.dismissed) if (!event.jobs.some((job) => job.id === id)) this.dismissed.delete(id);
        for (const job of event.jobs) if (!this.dismissed.has(job.id)) this.jobs.set(job.id, job);
        this.removed = event.removed;
        this.known = true;
        break;
      case 'runs':
        for (const run of event.runs) this.runs.set(run.name, run);
        for (const name of event.gone) this.runs.delete(name);
        break;
      case 'job':
        this.jobs.set(event.job.id, event.job);
        for (const id of [...this.jobs.keys()].slice(0, Math.max(0, this.jobs.size - MOST_JOBS))) this.jobs.delete(id);
        break;
      case 'removed':
        this.removed = event.removed;
        break;
      case 'epochs':
        this.takeEpochs(event);
        break;
      case 'step':
        if (this.watched) this.watched.step = event.step;
    }
    this.changed();
  }

  private takeEpochs({ from, epochs, secondsLeft }: Extract<StudioEvent, { kind: 'epochs' }>): void {
    const { watched } = this;
    if (!watched) return;
    watched.epochs = [...watched.epochs.slice(0, from), ...epochs];
    watched.secondsLeft = secondsLeft;
    const last = watched.epochs.at(-1);
    const { step } = watched;
    if (last && step && last.phase === step.phase && last.epoch >= step.epoch) watched.step = null;
  }

  /** Puts what the server answered in its place before the stream tells it. */
  put(part: { readonly run?: ShownRun; readonly job?: ShownJob }): void {
    if (part.run) this.runs.set(part.run.name, part.run);
    if (part.job) this.jobs.set(part.job.id, part.job);
    this.changed();
  }

  forgetJob(id: string): void {
    this.dismissed.add(id);
    this.jobs.delete(id);
    this.changed();
  }

  say(text: string, more: { readonly bad?: boolean; readonly action?: Toast['action'] } = {}): void {
    const { bad = false, action } = more;
    const toast: Toast = { id: ++this.toastId, text, bad, ...(action && { action }) };
    this.toasts = [...this.toasts, toast].slice(-MOST_TOASTS);
    this.changed();
    window.setTimeout(() => this.unsay(toast.id), TOAST_MS);
  }

  unsay(id: number): void {
    this.toasts = this.toasts.filter((toast) => toast.id !== id);
    this.changed();
  }
}

export const store = new Store();

/** The store, and a new drawing of the component whenever it has changed. */
export function useStore(): Store {
  const [, again] = useState(0);
  const { drawn } = store;
  useEffect(() => {
    // effects come a frame after the drawing: what the store learnt in between would not be seen until it learns more
    if (store.drawn !== drawn) again((n) => n + 1);
    return store.subscribe(() => again((n) => n + 1));
  }, []);
  return store;
}

/** What is at work on a run, or was last. */
export const jobOn = (name: string): ShownJob | undefined =>
  [...store.jobs.values()]
    .filter(({ about, kind }) => about === name && (kind === 'train' || kind === 'resume'))
    .sort((a, b) => (a.began < b.began ? 1 : -1))[0];

/** A run's state with what was begun here: a training that failed leaves a run that is stopped. */
export function stateOf(run: ShownRun): ShownState {
  const job = jobOn(run.name);
  if (run.state === 'stopped' && job?.state === 'failed') return 'failed';
  if (run.state === 'stopped' && job?.state === 'waiting') return 'waiting';
  return run.state;
}

export const rows = (): ListedRow[] => [...store.runs.values()].map((run) => ({ run, state: stateOf(run) }));
