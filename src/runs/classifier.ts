/** A trained run that stays loaded: opened once, asked often, closed in the end. */

import { eachConcurrently } from '../data/concurrently.js';
import { type ImageSource, nameOfSource, readImage } from '../data/node/image-source.js';
import { IMAGES_AT_ONCE } from '../data/node/pixels.js';
import { normaliseInto, preprocess } from '../data/preprocess.js';
import { IdatError } from '../errors.js';
import { type ImageSize, pixelsOf } from '../image-size.js';
import { startRuntime } from '../runtime/node/start.js';
import type { Device, Runtime } from '../runtime/runtime.js';
import type { ModelSpec } from '../step/model.js';
import type { Role } from '../step/roles.js';
import { evaluationBatch, loadModel } from '../train/evaluate.js';
import { withInt8RangeHere } from '../train/int8-range.js';
import type { RunControl } from '../train/progress.js';
import { type OpenedRun, openRun, threadsOf } from './open-run.js';

export interface RunOptions extends RunControl {
  /** Default: where the run was trained. */
  device?: Device;
  threads?: number;
  /** Paths of the frozen weights, where they lie elsewhere now; the same by their sha256. */
  student?: string;
  teacher?: string;
}

/** A class and how probable it is. */
export interface ClassProbability {
  readonly label: string;
  readonly probability: number;
}

/** What is on an image. */
export interface ImagePrediction {
  /** Most probable first; empty where there is no answer. */
  readonly predictions: ClassProbability[];
  /** Why there is no answer. */
  readonly error?: string;
}

export interface ClassifyOptions {
  /** How many classes to name for each; default 5. */
  readonly top?: number;
  /** When aborted, no further call is begun, and what was asked for ends in an IdatError `run.interrupted`. */
  readonly signal?: AbortSignal | undefined;
  /** As images are answered, some at a time. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Any number of questions may be asked at the same time. From `close` on no further call is begun, and questions end in an
 * IdatError `classifier.closed`. The weights' file may be replaced meanwhile, but not written over, as it is mapped.
 */
export interface Classifier {
  readonly classes: readonly string[];
  /** To which images are resized: the side of a square, or height and width, in pixels. */
  readonly imageSize: ImageSize;
  /**
   * Names what is on images: an answer for each, in their order. One that cannot be read, or for which the model gives
   * something else than numbers, is answered with the reason.
   * @throws IdatError `classifier.top` when `top` is no whole number from 1
   */
  predict(images: readonly ImageSource[], options?: ClassifyOptions): Promise<ImagePrediction[]>;
  /** What the head gives for each image: as many numbers as classes. @throws IdatError at the first without an answer */
  logits(images: readonly ImageSource[], options?: Omit<ClassifyOptions, 'top'>): Promise<Float32Array[]>;
  /** What the head reads of each image: the backbone's features, tuned. @throws IdatError as `logits` */
  features(images: readonly ImageSource[], options?: Omit<ClassifyOptions, 'top'>): Promise<Float32Array[]>;
  /** Ends its worker and frees the weights when the calls under way have ended. Done again, it is done when the first is. */
  close(): Promise<void>;
}

/**
 * Loads a run's student, ready to classify for as long as it is not closed.
 *
 * @param run a run directory, or a run that is open
 * @param options.role which of its models; default: the student
 * @throws IdatError as `openRun`; `run.changed` when its backbone is another one; `runtime.device`
 */
export async function openClassifier(
  run: string | OpenedRun,
  options: RunOptions & { readonly role?: Role } = {},
): Promise<Classifier> {
  const { role = 'student', device, threads } = options;
  const { student, teacher } = options;
  const moved = { ...(student && { student }), ...(teacher && { teacher }) };
  const opened = typeof run === 'string' ? await openRun(run, moved) : run;
  const { plan, record, classes } = opened;
  const model = await opened.model(role, options);
  const runtime = await startRuntime({
    device: device ?? record.resolved.device,
    threads: threads ?? threadsOf(record),
  });
  try {
    const onNote = (text: string) => options.onProgress?.({ kind: 'note', text });
    const forward = await loadForward(
      runtime,
      { ...opened, plan: await withInt8RangeHere(plan, runtime, onNote) },
      model,
      role,
    );
    return classifierOf(forward, classes, plan.images.orient, () => runtime.close());
  } catch (error) {
    await runtime.close();
    throw error;
  }
}

/** Runs a loaded model on any number of images. */
interface Forward {
  readonly model: ModelSpec;
  /** Images in one call, at most. */
  readonly largest: number;
  /**
   * images [count, 3, S, S] -> a row for each of what the model gives, or of its features
   * @param check throws where no further call shall be begun
   */
  run(images: Float32Array, count: number, features: boolean, check: () => void): Promise<Float32Array[]>;
}

/** Between a single image and the largest call. */
const SOME_IMAGES = 8;

/**
 * Programs have a fixed number of images, and each holds the weights. So there are three at most, for one image, for some
 * and for many, and those for what the head reads; a number of images is cut into such calls, and nothing is computed in
 * vain. The first is loaded here, the others when they are first needed.
 */
async function loadForward(runtime: Runtime, run: OpenedRun, first: ModelSpec, role: Role): Promise<Forward> {
  const largest = evaluationBatch(first);
  const sizes = [largest, SOME_IMAGES, 1].filter((size) => size <= largest);
  const load = (model: ModelSpec, images: number, features: boolean) =>
    loadModel(runtime, model, { images, features, ...run.plan.compile });
  const single = await load(first, 1, false); // what is wrong with the run shows when it is opened
  const parameters = await run.parameters(role, single.layout);
  const loaded = new Map([[keyOf(1, false), Promise.resolve(single)]]);
  const program = (images: number, features: boolean) => {
    const key = keyOf(images, features);
    const known = loaded.get(key);
    if (known) return known;
    // opened anew, as the file may have become another one in the meantime, which is an error
    const opening = run.model(role).then((model) => load(model, images, features));
    loaded.set(key, opening);
    opening.catch(() => loaded.delete(key)); // the next call tries again
    return opening;
  };
  return {
    model: first,
    largest,
    run: async (images, count, features, check) => {
      const length = images.length / count;
      const rows: Float32Array[] = [];
      while (rows.length < count) {
        check();
        const start = rows.length;
        const size = sizes.find((one) => one <= count - start)!;
        const { output } = await program(size, features);
        check();
        const values = await output({ images: images.slice(start * length, (start + size) * length) }, parameters);
        const width = values.length / size;
        for (let i = 0; i < size; i++) rows.push(values.slice(i * width, (i + 1) * width));
      }
      return rows;
    },
  };
}

const keyOf = (images: number, features: boolean): string => `${images} ${features}`;

/** What came of an image: its numbers, or why there are none. */
type Row = Float32Array | IdatError;

function classifierOf(
  { model, largest, run }: Forward,
  classes: readonly string[],
  orient: boolean,
  end: () => Promise<void>,
): Classifier {
  const { config, mean, std } = model.backbone;
  const length = config.channels * pixelsOf(config.imageSize);
  const underWay = new Set<Promise<unknown>>();
  let closing: Promise<void> | null = null;
  const closed = () => new IdatError('classifier.closed', 'this classifier has been closed; open it again');

  /** Rows of at most `largest` images. @param first position of the first among all */
  const rowsOfSome = async (
    sources: readonly ImageSource[],
    first: number,
    features: boolean,
    signal: AbortSignal | undefined,
  ): Promise<Row[]> => {
    const check = () => {
      if (closing) throw closed();
      if (signal?.aborted) throw new IdatError('run.interrupted', 'stopped before all images were seen');
    };
    check();
    const read = await readAll(sources, first, { orient, size: config.imageSize, signal }).catch((error: unknown) => {
      check(); // an abort shows as its own reason
      throw error;
    });
    const readable = read.filter((image) => image instanceof Uint8Array);
    const images = new Float32Array(readable.length * length);
    for (const [i, image] of readable.entries()) normaliseInto(image, mean, std, images, i * length);
    const rows = await run(images, readable.length, features, check);
    return read.map((image, i) => {
      if (image instanceof IdatError) return image;
      const row = rows.shift()!;
      return row.every(Number.isFinite) ? row : notNumbers(nameOfSource(sources[i]!, first + i));
    });
  };

  const rowsOf = async (
    sources: readonly ImageSource[],
    features: boolean,
    { signal, onProgress }: Omit<ClassifyOptions, 'top'>,
  ): Promise<Row[]> => {
    if (closing) throw closed();
    const rows: Row[] = [];
    for (let start = 0; start < sources.length; start += largest) {
      const some = rowsOfSome(sources.slice(start, start + largest), start, features, signal);
      underWay.add(some);
      rows.push(...(await some.finally(() => underWay.delete(some))));
      onProgress?.(rows.length, sources.length);
    }
    return rows;
  };
  const allRows = async (
    sources: readonly ImageSource[],
    features: boolean,
    options: Omit<ClassifyOptions, 'top'>,
  ): Promise<Float32Array[]> => {
    const rows = await rowsOf(sources, features, options);
    const problem = rows.find((row) => row instanceof IdatError);
    if (problem) throw problem;
    return rows as Float32Array[];
  };

  return {
    classes,
    imageSize: config.imageSize,
    predict: async (sources, { top = 5, ...options } = {}) => {
      if (!Number.isInteger(top) || top < 1) {
        throw new IdatError('classifier.top', `top: expected a whole number from 1, got ${top}`);
      }
      const rows = await rowsOf(sources, false, options);
      return rows.map((row) =>
        row instanceof IdatError
          ? { predictions: [], error: row.message }
          : { predictions: mostProbable(row, classes, top) },
      );
    },
    logits: (sources, options = {}) => allRows(sources, false, options),
    features: (sources, options = {}) => allRows(sources, true, options),
    close: () => {
      // a worker that is ended within a call takes the process with it
      closing ??= Promise.allSettled(underWay).then(end);
      return closing;
    },
  };
}

/**
 * The images as bytes [3, height, width], or why they cannot be read; a few at a time, as photographs are large.
 * @throws the signal's reason
 */
async function readAll(
  sources: readonly ImageSource[],
  first: number,
  { orient, size, signal }: { orient: boolean; size: ImageSize; signal: AbortSignal | undefined },
): Promise<(Uint8Array | IdatError)[]> {
  const read = new Array<Uint8Array | IdatError>(sources.length);
  await eachConcurrently(sources.length, IMAGES_AT_ONCE, signal, async (i) => {
    try {
      const image = await readImage(sources[i]!, { orient, name: nameOfSource(sources[i]!, first + i) });
      read[i] = preprocess(image, size);
    } catch (error) {
      if (!(error instanceof IdatError)) throw error;
      read[i] = error;
    }
  });
  return read;
}

const NOT_NUMBERS = 'the model’s answer is no finite numbers: training has diverged, or the run’s tensors are damaged';

const notNumbers = (name: string): IdatError => new IdatError('classifier.numbers', `${name}: ${NOT_NUMBERS}`);

/** Whether an image was read and the model had no numbers for it. */
export const isWithoutNumbers = ({ error }: ImagePrediction): boolean => error?.endsWith(`: ${NOT_NUMBERS}`) ?? false;

/** Softmax, and the most probable first; of equal ones the first. */
function mostProbable(logits: Float32Array, classes: readonly string[], top: number): ClassProbability[] {
  const largest = logits.reduce((a, b) => Math.max(a, b));
  const exponentials = Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  return classes
    .map((label, i) => ({ label, probability: exponentials[i]! / sum }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, top);
}
