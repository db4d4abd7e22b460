/** Classifiers that stay loaded while somebody tries pictures, and go when nobody does. */
import { IdatError } from '../errors.js';
import { type Classifier, openClassifier } from '../runs/classifier.js';
import type { Predicted } from './page/api.js';

/** Each holds a model's weights. */
const MOST_OPEN = 2;
const IDLE_MS = 5 * 60_000;

interface Open {
  readonly classifier: Promise<Classifier>;
  /** When the run was last changed: another one since has to be loaded anew. */
  readonly changed: string;
  timer: NodeJS.Timeout | undefined;
}

export class OpenClassifiers {
  private readonly open = new Map<string, Open>();

  /** The most probable classes of a picture. @throws IdatError as `openClassifier` */
  async predict(dir: string, changed: string, image: Uint8Array): Promise<Predicted> {
    const began = performance.now();
    const classifier = await this.of(dir, changed).classifier;
    const [answer] = await classifier.classify([image]);
    if (!answer) throw new IdatError('classifier.numbers', 'no answer came');
    const milliseconds = Math.round(performance.now() - began);
    const { predictions, none } = answer;
    return { predictions, none, error: answer.error?.replace(/^image 1: /, '') ?? null, milliseconds };
  }

  /** Whoever removes or goes on with a run wants its files. */
  async release(dir: string): Promise<void> {
    const found = this.open.get(dir);
    this.open.delete(dir);
    clearTimeout(found?.timer);
    await found?.classifier.then(
      (classifier) => classifier.close(),
      () => {},
    );
  }

  async close(): Promise<void> {
    await Promise.all([...this.open.keys()].map((dir) => this.release(dir)));
  }

  private of(dir: string, changed: string): Open {
    const known = this.open.get(dir);
    if (known && known.changed !== changed) void this.release(dir);
    else if (known) {
      this.keep(dir, known);
      return known;
    }
    if (this.open.size >= MOST_OPEN) void this.release([...this.open.keys()][0]!);
    const opened: Open = { classifier: openClassifier(dir), changed, timer: undefined };
    opened.classifier.catch(() => this.open.get(dir) === opened && this.open.delete(dir));
    this.open.set(dir, opened);
    this.keep(dir, opened);
    return opened;
  }

  private keep(dir: string, opened: Open): void {
    clearTimeout(opened.timer);
    opened.timer = setTimeout(() => void this.release(dir), IDLE_MS);
    opened.timer.unref();
  }
}
