/** What a finished run is for: measuring it on data, and naming what is on pictures. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { decodeImage, normaliseInto, openDataset, preprocess } from '../data/index.js';
import { IdatError } from '../errors.js';
import { openSafetensors } from '../files/safetensors-node.js';
import { checkInt8 } from '../runtime/check-int8.js';
import type { Device } from '../runtime/runtime.js';
import { withWeightFile } from '../runtime/weight-file.js';
import type { Protocol } from './config.js';
import { type Classifier, evaluate, loadClassifier, type Score } from './evaluate.js';
import { pixelInputs } from './inputs.js';
import type { TrainableLayout } from './model.js';
import { openBackbone } from './open-backbone.js';
import { closePixels, openPixels } from './pixels.js';
import type { RunControl } from './progress.js';
import { backboneChange, type RunRecord, readClasses, readRecord } from './run-directory.js';
import { modelSpec, withRuntime } from './setup.js';

export interface RunOptions extends RunControl {
  /** Default: where the run was trained. */
  device?: Device;
  threads?: number;
}

/** A run's student, ready to classify. */
interface TrainedStudent {
  record: RunRecord;
  classes: string[];
  classifier: Classifier;
  parameters: Float32Array;
}

export interface RunEvaluation extends Score {
  split: 'test';
  /** The data set looked at. */
  data: string;
  /** How the run chose what it kept. */
  protocol: Protocol;
}

/**
 * Top-1 of a run's student on the test split.
 * @param options.data another data set with the same classes; default: the run's own
 */
export async function evaluateRun(
  runDir: string,
  options: RunOptions & { data?: string } = {},
): Promise<RunEvaluation> {
  return withStudent(runDir, options, async ({ record, classes, classifier, parameters }) => {
    const { settings } = record;
    const dataset = await openDataset(resolve(options.data ?? settings.data), { seed: settings.seed });
    try {
      checkClasses(dataset.source, dataset.classes, classes);
      const sizes = { student: classifier.model.backbone.config.imageSize, teacher: null };
      const pixels = await openPixels(dataset, ['test'], sizes, settings, options);
      try {
        const report = (done: number, total: number) =>
          options.onProgress?.({ kind: 'evaluate', done, total, split: 'test' });
        const inputs = pixelInputs(pixels.test!.student, classifier.model);
        const score = await evaluate(classifier, inputs, parameters, report, options.signal);
        if (!score) throw new IdatError('run.interrupted', 'stopped before all images were seen');
        return { ...score, split: 'test', data: dataset.source, protocol: settings.protocol };
      } finally {
        await closePixels(pixels);
      }
    } finally {
      await dataset.close();
    }
  });
}

export interface Prediction {
  path: string;
  /** Most probable first; empty where the image could not be read. */
  predictions: { label: string; probability: number }[];
  /** Why the image could not be read. */
  error?: string;
}

/**
 * Names what is on images.
 * @param paths image files, or folders of them
 * @param options.top how many classes to name for each; default 5
 */
export async function predict(
  runDir: string,
  paths: readonly string[],
  options: RunOptions & { top?: number } = {},
): Promise<Prediction[]> {
  const files = (await Promise.all(paths.map(imagesAt))).flat();
  return withStudent(runDir, { ...options, images: Math.max(1, files.length) }, async (student) => {
    const { record, classes, classifier, parameters } = student;
    const results: Prediction[] = [];
    for (let start = 0; start < files.length; start += classifier.batch) {
      if (options.signal?.aborted) throw new IdatError('run.interrupted', 'stopped before all images were seen');
      const batch = files.slice(start, start + classifier.batch);
      const { images, errors } = await readFiles(batch, classifier, record.settings.orient);
      const logits = await classifier.logits({ images }, parameters);
      batch.forEach((path, i) => {
        const row = logits.subarray(i * classes.length, (i + 1) * classes.length);
        const error = errors[i];
        if (error !== undefined) results.push({ path, predictions: [], error });
        else results.push({ path, predictions: mostProbable(row, classes, options.top ?? 5) });
      });
      options.onProgress?.({ kind: 'evaluate', done: results.length, total: files.length, split: 'images' });
    }
    return results;
  });
}

async function withStudent<T>(
  runDir: string,
  options: RunOptions & { images?: number },
  action: (student: TrainedStudent) => Promise<T>,
): Promise<T> {
  const dir = resolve(runDir);
  const record = await readRecord(dir);
  const { settings, resolved } = record;
  const classes = await readClasses(dir);
  const backbone = await openBackbone(settings, 'student', options);
  const change = backboneChange(record.student, backbone);
  if (change !== null) {
    const what = `${backbone.path} is not the backbone this run was trained on (${change})`;
    throw new IdatError('run.changed', `${dir}: ${what}; put the old file back`);
  }
  const device = options.device ?? resolved.device;
  return withRuntime({ device, threads: options.threads ?? resolved.threads }, async (runtime) => {
    const spec = modelSpec(settings, 'student', backbone, record.classes);
    const { disable, frozen } = settings;
    const { images = Infinity } = options;
    if (frozen !== 'float32') await checkInt8(runtime);
    const classifier = await withWeightFile((sink) => loadClassifier(runtime, spec, { images, disable, frozen, sink }));
    const parameters = await readTuned(join(dir, 'student.safetensors'), classifier.layout);
    return action({ record, classes, classifier, parameters });
  });
}

async function readTuned(path: string, { slots, size }: TrainableLayout): Promise<Float32Array> {
  const file = await openSafetensors(path);
  try {
    const parameters = new Float32Array(size);
    for (const slot of slots) {
      const values = await file.readFloat32(slot.name);
      if (values.length !== slot.size) {
        const what = `tensor ${slot.name} has ${values.length} numbers, expected ${slot.size}`;
        throw new IdatError('run.damaged', `${path}: ${what}; copy the run again`);
      }
      parameters.set(values, slot.offset);
    }
    return parameters;
  } finally {
    await file.close();
  }
}

function checkClasses(source: string, found: readonly string[], expected: readonly string[]): void {
  if (found.length === expected.length && found.every((name, i) => name === expected[i])) return;
  const differing = found.find((name) => !expected.includes(name)) ?? expected.find((name) => !found.includes(name));
  const what = `its ${found.length} classes are not the ${expected.length} of the run`;
  throw new IdatError(
    'data.classes',
    `${source}: ${what} (such as ${differing ?? 'their order'}); give a data set with the same classes`,
  );
}

/** The image itself, or the images below a folder, sorted. */
async function imagesAt(path: string): Promise<string[]> {
  const found = await stat(path).catch(() => null);
  if (!found) throw new IdatError('predict.path', `${path}: no such file or folder; check the path`);
  if (!found.isDirectory()) return [path];
  const entries = await readdir(path, { withFileTypes: true });
  const below = await Promise.all(
    entries
      .filter((entry) => !entry.name.startsWith('.'))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map((entry) => {
        if (entry.isDirectory()) return imagesAt(join(path, entry.name));
        return entry.isFile() && /\.(jpe?g|png|webp)$/i.test(entry.name) ? [join(path, entry.name)] : [];
      }),
  );
  return below.flat();
}

/** As training reads them; where one cannot be read, its reason, and zeros. */
async function readFiles(paths: readonly string[], { batch, model }: Classifier, orient: boolean) {
  const { config, mean, std } = model.backbone;
  const length = config.channels * config.imageSize ** 2;
  const images = new Float32Array(batch * length);
  const errors = await Promise.all(
    paths.map(async (path, i) => {
      try {
        const image = await decodeImage(await readFile(path), { orient, name: path });
        normaliseInto(preprocess(image, config.imageSize), mean, std, images, i * length);
        return undefined;
      } catch (error) {
        return (error as Error).message;
      }
    }),
  );
  return { images, errors };
}

function mostProbable(logits: Float32Array, classes: readonly string[], top: number): Prediction['predictions'] {
  const largest = Math.max(...logits);
  const exponentials = Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  return classes
    .map((label, i) => ({ label, probability: exponentials[i]! / sum }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, top);
}
