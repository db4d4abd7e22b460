/** How well exported files agree with the engine that trained the model, on real images. */

import { normaliseInto, preprocess, type RgbImage, toPlanar } from '../data/node/index.js';
import type { Program } from '../graph/emit.js';
import { type Shape, size } from '../graph/tensor.js';
import { type ImageSize, sidesOf } from '../image-size.js';
import { LOGITS, PARAMETERS } from '../onnx/names.js';
import type { Runtime, Session } from '../runtime/runtime.js';
import { largestAt } from '../step/micro-batch.js';
import type { LoadedModel } from '../train/evaluate.js';
import type { CheckImage, CheckImages } from './check-images.js';

/** Some images, prepared as idat prepares them. */
interface Prepared {
  readonly images: readonly RgbImage[];
  /** Bytes [3, height, width] of each, at the model's size. */
  readonly bytes: readonly Uint8Array[];
  /** [images, 3, height, width] */
  readonly normalised: Float32Array;
}

/** A file that is held against the engine, and how it is given images. */
export interface Candidate {
  readonly file: ExportedFile;
  feeds(some: Prepared, geometry: Geometry): Promise<readonly Fed[]>;
}

/** What one call is given. */
export interface Fed {
  readonly values: Float32Array;
  readonly shape: Shape;
}

export interface Geometry {
  readonly imageSize: ImageSize;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

const shapeOf = (count: number, { imageSize, mean }: Geometry): Shape => [count, mean.length, ...sidesOf(imageSize)];

/** All images in a call, resized and normalised by idat. */
export const asImages: Candidate['feeds'] = async ({ images, normalised }, geometry) => [
  { values: normalised, shape: shapeOf(images.length, geometry) },
];

/** All images in a call, resized by idat, in whole numbers. */
export const asSmallPixels: Candidate['feeds'] = async ({ bytes }, geometry) => {
  const shape = shapeOf(bytes.length, geometry);
  const values = new Float32Array(size(shape));
  bytes.forEach((image, i) => {
    values.set(image, i * image.length);
  });
  return [{ values, shape }];
};

/** Each image at its own size. */
export const asPixels: Candidate['feeds'] = async ({ images }) =>
  images.map(({ width, height, pixels }) => ({
    values: Float32Array.from(toPlanar(pixels)),
    shape: [1, 3, height, width],
  }));

/** Resized by something else, and normalised. */
export const resizedBy =
  (resize: (image: RgbImage, size: ImageSize) => Promise<Uint8Array>): Candidate['feeds'] =>
  async ({ images }, geometry) => {
    const bytes = await Promise.all(images.map(async (image) => toPlanar(await resize(image, geometry.imageSize))));
    return [{ values: normalised(bytes, geometry), shape: shapeOf(images.length, geometry) }];
  };

function normalised(bytes: readonly Uint8Array[], { mean, std }: Geometry): Float32Array {
  const length = bytes[0]!.length;
  const values = new Float32Array(bytes.length * length);
  bytes.forEach((image, i) => {
    normaliseInto(image, mean, std, values, i * length);
  });
  return values;
}

/** An exported file, loaded. */
export interface ExportedFile {
  /** A row of as many numbers as classes for each image. */
  logits(fed: Fed): Promise<Float32Array>;
  /** For one image alone, of the runtime's own time: the median of several calls. */
  milliseconds(fed: Fed): Promise<number>;
  close(): Promise<void>;
}

/**
 * @param input name of its images
 * @param parameters the adapter, where it is an input
 */
export async function loadExported(
  runtime: Runtime,
  model: Uint8Array,
  { input, classes, parameters }: { input: string; classes: number; parameters: Float32Array | null },
): Promise<ExportedFile> {
  const float = (shape: Shape) => ({ shape, dtype: 'float32' as const });
  const program: Program = {
    model,
    files: [],
    inputs: { [input]: float([1]), ...(parameters && { [PARAMETERS]: float([parameters.length]) }) },
    outputs: { [LOGITS]: float([1, classes]) },
    flops: 0,
    activationBytes: 0,
    weightBytes: 0,
  };
  const session = await runtime.load(() => program);
  const logits = async ({ values, shape }: Fed) => {
    const feeds = { [input]: values, ...(parameters && { [PARAMETERS]: parameters }) };
    return (await session.run(feeds, { [input]: shape }))[LOGITS]!;
  };
  return { logits, milliseconds: (fed) => medianCall(session, () => logits(fed)), close: () => session.close() };
}

/** Calls that are measured, after some that warm up; fewer where each takes long. */
const TIMED = { warm: 3, calls: 30, budgetMs: 3000 };

async function medianCall(session: Session, call: () => Promise<unknown>): Promise<number> {
  for (let i = 0; i < TIMED.warm; i++) await call();
  const taken: number[] = [];
  let total = 0;
  while (taken.length < TIMED.calls && (total < TIMED.budgetMs || taken.length < 3)) {
    const before = session.spent().ms;
    await call();
    taken.push(session.spent().ms - before);
    total += taken.at(-1)!;
  }
  return taken.sort((a, b) => a - b)[Math.floor(taken.length / 2)]!;
}

/** What came of holding one against the engine. */
export interface Agreement {
  /** Images compared. */
  readonly images: number;
  /** Those for which both name the same class. */
  readonly same: number;
  /** The largest difference between two logits, and the largest logit there was. */
  readonly deviation: number;
  readonly largest: number;
}

/** How many of the images that count were recognised. */
export interface Recognised {
  readonly correct: number;
  readonly total: number;
}

export interface Comparison {
  readonly agreements: Agreement[];
  /** Of each candidate. */
  readonly recognised: Recognised[];
  /** Of the engine. */
  readonly engine: Recognised;
  /** The first image as each candidate is given it; null where there was none. */
  readonly first: (Fed | null)[];
}

/** Runs all images through the engine and through each candidate. */
export async function compareOn(
  images: CheckImages,
  engine: LoadedModel,
  parameters: Float32Array,
  candidates: readonly Candidate[],
  onProgress?: (done: number) => void,
): Promise<Comparison> {
  const geometry = { ...engine.model.backbone, imageSize: engine.model.backbone.config.imageSize };
  const tallies = candidates.map(() => new Tally());
  const own = new Tally();
  const first: (Fed | null)[] = candidates.map(() => null);
  let done = 0;
  for await (const some of inBatches(images.read(), engine.batch)) {
    const pixels = some.map((image) => image.pixels);
    const bytes = pixels.map((image) => preprocess(image, geometry.imageSize));
    const prepared = { images: pixels, bytes, normalised: normalised(bytes, geometry) };
    const expected = await engineLogits(engine, prepared.normalised, some.length, parameters);
    own.add(some, expected, expected);
    for (const [i, { file, feeds }] of candidates.entries()) {
      const fed = await feeds(prepared, geometry);
      first[i] ??= alone(fed[0]!);
      const rows: number[] = [];
      for (const one of fed) for (const value of await file.logits(one)) rows.push(value);
      tallies[i]!.add(some, expected, Float32Array.from(rows));
    }
    done += some.length;
    onProgress?.(done);
  }
  return {
    agreements: tallies.map((tally) => tally.agreement),
    recognised: tallies.map((tally) => tally.recognised),
    engine: own.recognised,
    first,
  };
}

const alone = ({ values, shape: [count, ...rest] }: Fed): Fed => ({
  values: values.slice(0, values.length / count!),
  shape: [1, ...rest],
});

class Tally {
  private images = 0;
  private same = 0;
  private deviation = 0;
  private largest = 0;
  private correct = 0;
  private total = 0;

  add(images: readonly CheckImage[], expected: Float32Array, got: Float32Array): void {
    const classes = expected.length / images.length;
    expected.forEach((value, i) => {
      const apart = Math.abs(value - got[i]!);
      this.deviation = apart <= this.deviation ? this.deviation : apart; // what is no number is the largest of all
      this.largest = Math.max(this.largest, Math.abs(value));
    });
    images.forEach(({ label }, i) => {
      const named = largestAt(got, i, classes);
      this.images++;
      this.same += Number(named === largestAt(expected, i, classes));
      if (label === null) return;
      this.total++;
      this.correct += Number(named === label);
    });
  }

  get agreement(): Agreement {
    const { images, same, deviation, largest } = this;
    return { images, same, deviation, largest };
  }

  get recognised(): Recognised {
    return { correct: this.correct, total: this.total };
  }
}

async function* inBatches(images: AsyncGenerator<CheckImage>, batch: number): AsyncGenerator<CheckImage[]> {
  let some: CheckImage[] = [];
  for await (const image of images) {
    some.push(image);
    if (some.length < batch) continue;
    yield some;
    some = [];
  }
  if (some.length > 0) yield some;
}

/** The engine's programs have a fixed number of images: missing ones are zeros. */
async function engineLogits(
  { batch, output }: LoadedModel,
  images: Float32Array,
  count: number,
  parameters: Float32Array,
): Promise<Float32Array> {
  const padded = new Float32Array((images.length / count) * batch);
  padded.set(images);
  const logits = await output({ images: padded }, parameters);
  return logits.subarray(0, count * (logits.length / batch));
}
