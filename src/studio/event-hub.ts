/** Tells every open page what changes. A page that reads slowly misses what is out of date by then, and nothing piles up. */
import type { StudioEvent } from './page/api.js';

/** An open page. */
export interface Listener {
  /** The run whose epochs and steps it is told; null: of no run. */
  readonly run: string | null;
  readonly isOpen: boolean;
  /** Waits for the next events; an empty list says that nothing has happened for so long. */
  next(patienceMs: number): Promise<readonly StudioEvent[]>;
  close(): void;
}

/** More pages than anybody has open. */
const MOST_LISTENERS = 64;

export class EventHub {
  private readonly queues = new Set<Queue>();

  get size(): number {
    return this.queues.size;
  }

  /** The names of the runs that pages look at. */
  watched(): ReadonlySet<string> {
    return new Set([...this.queues].flatMap(({ run }) => run ?? []));
  }

  /** The oldest page is let go where there are too many. */
  listen(run: string | null): Listener {
    if (this.queues.size >= MOST_LISTENERS) [...this.queues][0]!.close();
    const queue: Queue = new Queue(run, () => this.queues.delete(queue));
    this.queues.add(queue);
    return queue;
  }

  /** @param run tells it only to pages that look at that run */
  tell(event: StudioEvent, run?: string): void {
    for (const queue of this.queues) if (run === undefined || queue.run === run) queue.put(event);
  }

  close(): void {
    for (const queue of [...this.queues]) queue.close();
  }
}

/** Events that have not been sent, one for each thing that they are about. */
class Queue implements Listener {
  private readonly waiting = new Map<string, StudioEvent>();
  private wake: (() => void) | null = null;
  private closed = false;

  constructor(
    readonly run: string | null,
    private readonly onClose: () => void,
  ) {}

  get isOpen(): boolean {
    return !this.closed;
  }

  put(event: StudioEvent): void {
    if (this.closed) return;
    if (event.kind === 'runs') {
      // each run by itself, so that a later word on it takes the place of an earlier one
      for (const run of event.runs) this.set(`run ${run.name}`, { kind: 'runs', runs: [run], gone: [] });
      for (const name of event.gone) this.set(`run ${name}`, { kind: 'runs', runs: [], gone: [name] });
    } else if (event.kind === 'job') this.set(`job ${event.job.id}`, event);
    else if (event.kind === 'epochs') this.set(`epochs`, joined(this.waiting.get('epochs'), event));
    else this.set(event.kind, event);
    this.wake?.();
  }

  private set(key: string, event: StudioEvent): void {
    this.waiting.delete(key);
    this.waiting.set(key, event);
  }

  async next(patienceMs: number): Promise<readonly StudioEvent[]> {
    if (this.waiting.size === 0 && !this.closed) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, patienceMs);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.wake = null;
    }
    const events = [...this.waiting.values()];
    this.waiting.clear();
    return events;
  }

  close(): void {
    this.closed = true;
    this.onClose();
    this.wake?.();
  }
}

type Epochs = Extract<StudioEvent, { kind: 'epochs' }>;

/** Epochs that follow on those that wait, as one event. */
function joined(before: StudioEvent | undefined, now: Epochs): Epochs {
  if (before?.kind !== 'epochs' || now.from < before.from) return now;
  return { ...now, from: before.from, epochs: [...before.epochs.slice(0, now.from - before.from), ...now.epochs] };
}
