/** A queue that pages look at: read when one asks, and at most so often, however many there are. */
import { IdatError } from '../errors.js';
import { parseQueueUrl, type QueueAddress } from '../queue/address.js';
import { withoutSecrets } from '../queue/engine.js';
import { type QueueSnapshot, type QueueView, viewQueue } from '../queue/snapshot.js';
import type { ShownQueue } from './page/api.js';

const OFTEN_MS = 1000;
/** A server that is away keeps commands waiting for as long as it is. */
const PATIENCE_MS = 4000;
/** More cannot be looked at; those with runs come first. */
const MOST_WORKERS = 200;

export class QueueWatch {
  /** Without user and password. */
  readonly address: string;
  private readonly server: QueueAddress;
  private view: Promise<QueueView> | null = null;
  private reading: Promise<QueueSnapshot> | null = null;
  private last: { readonly at: number; readonly shown: ShownQueue } | null = null;

  /** @throws IdatError `config.queue` */
  constructor(private readonly url: string) {
    this.server = parseQueueUrl(url, process.env);
    this.address = this.server.shown;
  }

  async read(): Promise<ShownQueue> {
    if (this.last && performance.now() - this.last.at < OFTEN_MS) return this.last.shown;
    const shown = await this.look().then(
      (snapshot) => ({ address: this.address, problem: null, snapshot: bounded(snapshot) }),
      (error: unknown) => {
        if (!(error instanceof IdatError)) throw error;
        return { address: this.address, problem: error.message, snapshot: null };
      },
    );
    this.last = { at: performance.now(), shown };
    return shown;
  }

  async close(): Promise<void> {
    const view = await this.view?.catch(() => null);
    await view?.close();
  }

  /** Another look is begun when the one before has ended, however long its server is away. */
  private look(): Promise<QueueSnapshot> {
    this.reading ??= this.opened()
      .then((view) => view.read())
      .catch((error: unknown) => {
        if (error instanceof IdatError) throw error;
        const why = withoutSecrets((error as Error).message, this.server);
        throw new IdatError('queue.connect', `${this.address}: the queue cannot be read (${why})`);
      })
      .finally(() => {
        this.reading = null;
      });
    return withPatience(this.reading, () => {
      const what = 'does not answer; workers go on with what they have, and what is shown here comes back with it';
      return new IdatError('queue.connect', `${this.address}: ${what}`);
    });
  }

  private opened(): Promise<QueueView> {
    this.view ??= viewQueue(this.url).catch((error: unknown) => {
      this.view = null;
      throw error;
    });
    return this.view;
  }
}

async function withPatience<T>(answer: Promise<T>, otherwise: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(otherwise()), PATIENCE_MS);
  });
  answer.catch(() => {}); // it may fail when nobody waits for it any more
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}

function bounded({ counts, workers, perHour, secondsLeft }: QueueSnapshot): NonNullable<ShownQueue['snapshot']> {
  const busiest = [...workers].sort((a, b) => b.runs.length - a.runs.length);
  const slots = workers.reduce((sum, worker) => sum + worker.slots, 0);
  return {
    ...{ counts, perHour, secondsLeft, slots },
    workers: busiest.slice(0, MOST_WORKERS).map(({ lane: _, ...worker }) => worker),
    workersInAll: workers.length,
  };
}
