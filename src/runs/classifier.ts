/** A trained run that stays loaded: opened once, asked often, closed in the end. */
import { type ImageSource, nameOfSource, readImage } from '../data/node/image-source.js';
import { normaliseInto, preprocess } from '../data/preprocess.js';
import { IdatError } from '../errors.js';
import { checkInt8 } from '../runtime/check-int8.js';
import { startRuntime } from '../runtime/node/start.js';
import type { Device, Runtime } from '../runtime/runtime.js';
import type { ModelSpec } from '../step/model.js';
import type { Role } from '../step/roles.js';
import { evaluationBatch, type LoadedModel, loadModel, refuseDiverged } from '../train/evaluate.js';
import type { RunControl } from '../train/progress.js';
import { type OpenedRun, openRun } from './open-run.js';

export interface RunOptions extends RunControl {
  /** Default: where the run was trained. */
  device?: Device;
  threads?: number;
}

/** A class and how probable it is. */
export interface ClassProbability {
  readonly label: string;
  readonly probability: number;
}

/** What is on an image. */
export interface ImagePrediction {
  /** Most probable first; empty where the image could not be read. */
  readonly predictions: ClassProbability[];
  /** Why the image could not be read. */
  readonly error?: string;
}

export interface ClassifyOptions {
  /** How many classes to name for each; default 5. */
  readonly top?: number;
  /** When aborted, no further call is begun. */
  readonly signal?: AbortSignal | undefined;
  /** After each call. */
  readonly onProgress?: (done: number, total: number) => void;
}

export interface Classifier {
  readonly classes: readonly string[];
  /** Side in pixels to which images are resized. */
  readonly imageSize: number;
  /** Names what is on images: an answer for each, in their order. One that cannot be read is answered with the reason. */
  predict(images: readonly ImageSource[], options?: ClassifyOptions): Promise<ImagePrediction[]>;
  /** What the head gives for each image: as many numbers as classes. @throws IdatError at the first that cannot be read */
  logits(images: readonly ImageSource[], options?: Omit<ClassifyOptions, 'top'>): Promise<Float32Array[]>;
  /** What the head reads of each image: the backbone's features, tuned. @throws IdatError as `logits` */
  features(images: readonly ImageSource[], options?: Omit<ClassifyOptions, 'top'>): Promise<Float32Array[]>;
  /** Ends its worker and frees the weights; calls under way fail. Harmless when that is done. */
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
  const opened = typeof run === 'string' ? await openRun(run) : run;
  const { plan, record, classes } = opened;
  const model = await opened.model(role, options);
  const runtime = await startRuntime({
    device: device ?? record.resolved.device,
    threads: threads ?? record.resolved.threads,
  });
  try {
    if (plan.compile.frozen !== 'float32') await checkInt8(runtime);
    const forward = await loadForward(runtime, opened, model, role);
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
  /** images [count, 3, S, S], count up to `largest` -> what the model gives for them, or its features, in rows */
  run(images: Float32Array, count: number, features: boolean): Promise<Float32Array>;
}

/**
 * Programs have a fixed number of images. One is loaded for each power of two that is asked for, so that a single image
 * does not cost as much as a full call.
 */
async function loadForward(runtime: Runtime, run: OpenedRun, model: ModelSpec, role: Role): Promise<Forward> {
  const largest = evaluationBatch(model);
  const loaded = new Map<string, Promise<LoadedModel>>();
  const load = (images: number, features: boolean) => {
    const key = `${images} ${features}`;
    if (!loaded.has(key)) loaded.set(key, loadModel(runtime, model, { images, features, ...run.plan.compile }));
    return loaded.get(key)!;
  };
  const first = await load(1, false); // what is wrong with the run shows when it is opened
  const parameters = await run.parameters(role, first.layout);
  return {
    model,
    largest,
    run: async (images, count, features) => {
      const size = Math.min(largest, 2 ** Math.ceil(Math.log2(count)));
      const { output } = await load(size, features);
      const length = images.length / count;
      const padded = size === count ? images : new Float32Array(size * length);
      if (padded !== images) padded.set(images);
      const rows = await output({ images: padded }, parameters);
      return rows.subarray(0, (rows.length / size) * count);
    },
  };
}

function classifierOf(
  { model, largest, run }: Forward,
  classes: readonly string[],
  orient: boolean,
  close: () => Promise<void>,
): Classifier {
  const { config, mean, std } = model.backbone;
  const length = config.channels * config.imageSize ** 2;
  let closed = false;

  /** A row for each image, or why there is none. */
  const rowsOf = async (
    sources: readonly ImageSource[],
    features: boolean,
    { signal, onProgress }: Omit<ClassifyOptions, 'top'>,
  ): Promise<(Float32Array | IdatError)[]> => {
    if (closed) throw new IdatError('classifier.closed', 'this classifier has been closed; open it again');
    const rows: (Float32Array | IdatError)[] = [];
    for (let start = 0; start < sources.length; start += largest) {
      if (signal?.aborted) throw new IdatError('run.interrupted', 'stopped before all images were seen');
      const part = sources.slice(start, start + largest);
      const images = new Float32Array(part.length * length);
      const problems = await Promise.all(
        part.map(async (source, i) => {
          try {
            const image = await readImage(source, { orient, name: nameOfSource(source, start + i) });
            normaliseInto(preprocess(image, config.imageSize), mean, std, images, i * length);
            return null;
          } catch (error) {
            if (error instanceof IdatError) return error;
            throw error;
          }
        }),
      );
      const values = await run(images, part.length, features);
      refuseDiverged(values, `the ${features ? 'features' : 'logits'} of the images`);
      const width = values.length / part.length;
      for (const [i, problem] of problems.entries()) rows.push(problem ?? values.slice(i * width, (i + 1) * width));
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
      const rows = await rowsOf(sources, false, options);
      return rows.map((row) =>
        row instanceof IdatError
          ? { predictions: [], error: row.message }
          : { predictions: mostProbable(row, classes, top) },
      );
    },
    logits: (sources, options = {}) => allRows(sources, false, options),
    features: (sources, options = {}) => allRows(sources, true, options),
    close: async () => {
      if (closed) return;
      closed = true;
      await close();
    },
  };
}

function mostProbable(logits: Float32Array, classes: readonly string[], top: number): ClassProbability[] {
  const largest = Math.max(...logits);
  const exponentials = Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  return classes
    .map((label, i) => ({ label, probability: exponentials[i]! / sum }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, top);
}
