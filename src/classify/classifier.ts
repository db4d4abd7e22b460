/** A trained model that stays loaded: opened once, asked often, closed in the end. On every platform the same. */
import { normaliseInto } from '../data/preprocess.js';
import { IdatError } from '../errors.js';
import { type ImageSize, pixelsOf } from '../image-size.js';
import type { AdapterShape } from '../onnx/about.js';
import { type Adapter, fitAdapter, type InUse, isAdapter, throughHead } from './adapter.js';
import { answerOf, type ImagePrediction, KEPT, noAnswer, thresholdOf } from './answers.js';

export interface QuestionOptions {
  /** When aborted, no further call is begun, and what was asked for ends in an IdatError `run.interrupted`. */
  readonly signal?: AbortSignal | undefined;
  /** As images are answered, some at a time. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface ClassifyOptions extends QuestionOptions {
  /** How many classes to name for each; default 5. */
  readonly top?: number;
  /** As for `threshold`. */
  readonly keep?: number;
}

/**
 * Any number of questions may be asked at the same time. From `close` on no further call is begun, and questions end in an
 * IdatError `classifier.closed`.
 *
 * @typeParam Image what an image may be on this platform
 * @typeParam Source what an adapter may be read from
 */
export interface Classifier<Image, Source> {
  /** Of the adapter in use. */
  readonly classes: readonly string[];
  /** To which images are resized: the side of a square, or height and width, in pixels. */
  readonly imageSize: ImageSize;
  /**
   * How familiar an image has to be, so as not to be taken for none of the classes; null where the run, or
   * its export, is of a version of idat that did not measure it.
   *
   * @param keep share of the validation images that are as familiar, from 0.5 to 1; default 0.95
   */
  threshold(keep?: number): number | null;
  /**
   * Names what is on images: an answer for each, in their order. One that cannot be read, or for which the model gives
   * something else than numbers, is answered with the reason.
   * @throws IdatError `classifier.top` when `top` is no whole number from 1, `classifier.keep` for no share
   */
  classify(images: readonly Image[], options?: ClassifyOptions): Promise<ImagePrediction[]>;
  /** Names what is on an image. @throws IdatError besides when it has no answer */
  classify(image: Image, options?: ClassifyOptions): Promise<ImagePrediction>;
  /** What the head gives for each image: as many numbers as classes. @throws IdatError at the first without an answer */
  logits(images: readonly Image[], options?: QuestionOptions): Promise<Float32Array[]>;
  logits(image: Image, options?: QuestionOptions): Promise<Float32Array>;
  /**
   * What the head reads of each image: the backbone's features, tuned.
   * @throws IdatError as `logits`; `classifier.features` for exports of versions that left them out
   */
  features(images: readonly Image[], options?: QuestionOptions): Promise<Float32Array[]>;
  features(image: Image, options?: QuestionOptions): Promise<Float32Array>;
  /**
   * Answers with another adapter from now on; what was asked before is answered with the one before. The base stays loaded,
   * and classes may be others and of another number.
   *
   * @param adapter one that was opened, to which it has turned when the call returns; or where to read it from
   * @throws IdatError `classifier.adapter` when it is of another backbone, method, options or blocks, with nothing changed
   */
  use(adapter: Adapter | Source): Promise<void>;
  /** Ends its worker and frees the weights when the calls under way have ended. Done again, it is done when the first is. */
  close(): Promise<void>;
}

/** What an image is to the model: bytes [3, height, width] of its size, or why it cannot be read. */
export type ReadImage = Uint8Array | IdatError;

/** What a platform and a kind of model bring along. */
export interface ClassifierParts<Image, Source> {
  readonly imageSize: ImageSize;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** Whether the model takes bytes as they are, in place of normalised numbers. */
  readonly takesPixels: boolean;
  /** Images in one call, at most. */
  readonly largest: number;
  readonly first: InUse;
  /** Of adapters that fit; null where what was trained is part of the model. */
  readonly shape: AdapterShape | null;
  /** Some images, the first of which is so many'th of all. @throws the signal's reason */
  read(images: readonly Image[], first: number, signal: AbortSignal | undefined): Promise<ReadImage[]>;
  nameOf(image: Image, at: number): string;
  /**
   * images [count, 3, height, width] -> a row for each of what the model gives, or of its features
   * @param check throws where no further call shall be begun
   */
  run(images: Float32Array, count: number, asked: Asked): Promise<Float32Array[]>;
  openAdapter(source: Source): Promise<Adapter>;
  close(): Promise<void>;
}

export interface Asked {
  readonly features: boolean;
  readonly parameters: Float32Array | null;
  readonly check: () => void;
}

/** What came of an image: its numbers, or why there are none. */
type Row = Float32Array | IdatError;

export function classifierOf<Image, Source>(parts: ClassifierParts<Image, Source>): Classifier<Image, Source> {
  const { imageSize, mean, std, largest, shape } = parts;
  const length = mean.length * pixelsOf(imageSize);
  const underWay = new Set<Promise<unknown>>();
  /** Adapters that were in use: who goes back and forth between some has each laid out once. */
  const fitted = new WeakMap<Adapter, InUse>();
  let inUse = parts.first;
  let closing: Promise<void> | null = null;
  const closed = () => new IdatError('classifier.closed', 'this classifier has been closed; open it again');

  /** Rows of at most `largest` images. @param first position of the first among all */
  const rowsOfSome = async (
    images: readonly Image[],
    first: number,
    { features, use, signal }: { features: boolean; use: InUse; signal: AbortSignal | undefined },
  ): Promise<Row[]> => {
    const check = () => {
      if (closing) throw closed();
      if (signal?.aborted) throw stopped();
    };
    check();
    const read = await parts.read(images, first, signal).catch((error: unknown) => {
      check(); // an abort shows as its own reason
      throw error;
    });
    const readable = read.filter((image) => image instanceof Uint8Array);
    const numbers = new Float32Array(readable.length * length);
    for (const [i, image] of readable.entries()) {
      if (parts.takesPixels) numbers.set(image, i * length);
      else normaliseInto(image, mean, std, numbers, i * length);
    }
    const asked = { features: features || use.head !== null, parameters: use.parameters, check };
    const rows = readable.length === 0 ? [] : await parts.run(numbers, readable.length, asked);
    return read.map((image, i) => {
      if (image instanceof IdatError) return image;
      const given = rows.shift()!;
      const row = use.head && !features ? throughHead(use.head, given) : given;
      return row.every(Number.isFinite) ? row : notNumbers(parts.nameOf(images[i]!, first + i));
    });
  };

  const rowsOf = async (
    images: readonly Image[],
    features: boolean,
    { signal, onProgress }: QuestionOptions,
  ): Promise<Row[]> => {
    if (closing) throw closed();
    const use = inUse;
    const rows: Row[] = [];
    for (let start = 0; start < images.length; start += largest) {
      const some = rowsOfSome(images.slice(start, start + largest), start, { features, use, signal });
      underWay.add(some);
      some.then(
        () => underWay.delete(some),
        () => underWay.delete(some),
      );
      rows.push(...(await unlessAborted(some, signal)));
      onProgress?.(rows.length, images.length);
    }
    return rows;
  };

  const numbersOf = (features: boolean) =>
    (async (images: Image | readonly Image[], options: QuestionOptions = {}) => {
      const many = Array.isArray(images);
      const rows = (await rowsOf(many ? images : [images as Image], features, options)).map(answered);
      return many ? rows : rows[0]!;
    }) as Classifier<Image, Source>['logits'];

  const classify = async (
    images: Image | readonly Image[],
    { top = 5, keep = KEPT, ...options }: ClassifyOptions = {},
  ): Promise<ImagePrediction | ImagePrediction[]> => {
    if (!Number.isInteger(top) || top < 1) {
      throw new IdatError('classifier.top', `top: expected a whole number from 1, got ${top}`);
    }
    const { classes, familiarities } = inUse;
    const wanted = { top, threshold: thresholdOf(familiarities, checkedKeep(keep)) };
    if (!Array.isArray(images)) {
      const [row] = await rowsOf([images as Image], false, options);
      return answerOf(answered(row!), classes, wanted);
    }
    const rows = await rowsOf(images, false, options);
    return rows.map((row) => (row instanceof IdatError ? noAnswer(row.message) : answerOf(row, classes, wanted)));
  };

  return {
    get classes() {
      return inUse.classes;
    },
    imageSize,
    threshold: (keep = KEPT) => thresholdOf(inUse.familiarities, checkedKeep(keep)),
    classify: classify as Classifier<Image, Source>['classify'],
    logits: numbersOf(false),
    features: numbersOf(true),
    use: async (given) => {
      if (closing) throw closed();
      if (shape === null) {
        const what = 'what was trained is part of this model, so that no other adapter can take its place';
        throw new IdatError('classifier.adapter', `${what}; open a run, or export it with its adapter as an input`);
      }
      const adapter = isAdapter(given) ? given : await parts.openAdapter(given);
      inUse = fitted.get(adapter) ?? fitAdapter(shape, adapter);
      fitted.set(adapter, inUse);
    },
    close: () => {
      // a worker that is ended within a call takes the process with it
      closing ??= Promise.allSettled(underWay).then(() => parts.close());
      return closing;
    },
  };
}

function checkedKeep(keep: number): number {
  if (keep >= 0.5 && keep <= 1) return keep;
  throw new IdatError('classifier.keep', `keep: expected a share from 0.5 to 1, got ${keep}`);
}

function answered(row: Row): Float32Array {
  if (row instanceof IdatError) throw row;
  return row;
}

const stopped = (): IdatError => new IdatError('run.interrupted', 'stopped before all images were seen');

/** What comes first: the answer, or an abort. */
function unlessAborted<T>(answer: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return answer;
  return new Promise<T>((resolve, reject) => {
    const stop = () => reject(stopped());
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

const NOT_NUMBERS = 'the model’s answer is no finite numbers: training has diverged, or the run’s tensors are damaged';

const notNumbers = (name: string): IdatError => new IdatError('classifier.numbers', `${name}: ${NOT_NUMBERS}`);

/** Whether an image was read and the model had no numbers for it. */
export const isWithoutNumbers = ({ error }: ImagePrediction): boolean => error?.endsWith(`: ${NOT_NUMBERS}`) ?? false;
