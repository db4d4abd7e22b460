/**
 * idat as a contestant: the compiled step and the classifier, run as training and evaluation run them.
 *
 *     node --import ./time-runs.js idat-peer.js FOLDER
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { writeFileAtomic } from '../src/files/atomic-write.js';
import { encodeSafetensors } from '../src/files/safetensors.js';
import { type Session, startRuntime } from '../src/runtime/runtime.js';
import type { MicroBatch } from '../src/train/batches.js';
import { type Classifier, loadClassifier, tokensOf } from '../src/train/evaluate.js';
import { runStep } from '../src/train/fit.js';
import { autoMicroBatch, pieces } from '../src/train/micro-batch.js';
import { buildTrainStep, type TrainStep } from '../src/train/step.js';
import { serve } from './contestant.js';
import { productFlops, productPeak } from './kernel-profile.js';
import {
  type AdapterName,
  asTensors,
  BATCH_SIZE,
  DISTILLATION,
  IMAGE_LENGTH,
  initialParameters,
  modelSpec,
  openBackbones,
  ROLES,
  readBatch,
} from './problem.js';
import { startRunClock } from './run-clock.js';
import { type VariantName, variantNamed } from './variants.js';

interface Which {
  variant: VariantName;
  adapter: AdapterName;
}

interface LoadedStep {
  readonly step: TrainStep;
  readonly session: Session;
  readonly microBatch: number;
  readonly models: { student: { parameters: Float32Array }; teacher: { parameters: Float32Array } };
}

const folder = process.argv[2]!;
const backbones = await openBackbones(folder);
const { images, labels } = await readBatch(folder);
const runtime = await startRuntime({ device: 'cpu' });
const takeRunMs = startRunClock();
const steps = new Map<string, LoadedStep>();
const classifiers = new Map<string, Classifier>();

const specs = ({ variant, adapter }: Which) => {
  const spec = (role: 'student' | 'teacher') => ({
    ...modelSpec(backbones[role], adapter),
    ...variantNamed(variant).model,
  });
  return { student: spec('student'), teacher: spec('teacher') };
};

async function stepOf(which: Which): Promise<LoadedStep> {
  const key = `${which.variant} ${which.adapter}`;
  const known = steps.get(key);
  if (known) return known;
  const { student, teacher } = specs(which);
  const microBatch = autoMicroBatch(BATCH_SIZE, tokensOf(student), student.backbone.config.width);
  const options = { student, teacher, distillation: DISTILLATION, microBatch };
  const step = buildTrainStep({ ...options, ...variantNamed(which.variant).step });
  const models = {
    student: { parameters: initialParameters(step.student, 'student') },
    teacher: { parameters: initialParameters(step.teacher!, 'teacher') },
  };
  const loaded = { step, session: await runtime.load(step.program), microBatch, models };
  steps.set(key, loaded);
  return loaded;
}

async function classifierOf(which: Which): Promise<Classifier> {
  const key = `${which.variant} ${which.adapter}`;
  const classifier = classifiers.get(key) ?? (await loadClassifier(runtime, specs(which).student));
  classifiers.set(key, classifier);
  return classifier;
}

const imagesAt = (positions: readonly number[]): Float32Array => {
  const picked = new Float32Array(positions.length * IMAGE_LENGTH);
  positions.forEach((at, i) => {
    picked.set(images.subarray(at * IMAGE_LENGTH, (at + 1) * IMAGE_LENGTH), i * IMAGE_LENGTH);
  });
  return picked;
};

/** What a variant's step reads for these images. A step behind a frozen prefix would read the prefix's results here. */
function inputsOf(positions: readonly number[]): Record<string, Float32Array> {
  const pixels = imagesAt(positions);
  return { 'student.images': pixels, 'teacher.images': pixels };
}

/** The first `count` images of the batch, cut up as training cuts up a batch. */
function microBatches(count: number, microBatch: number): MicroBatch[] {
  return pieces(count, microBatch).map(({ positions, weights }) => {
    const own = BigInt64Array.from(positions, (at) => labels[at]!);
    return { feeds: { labels: own, weights, ...inputsOf(positions) }, labels: own, weights };
  });
}

/** Losses of the first images; gradients into a file, named as `student.blocks.3.adapter.linear1.weight`. */
async function check({ batch, ...which }: Which & { batch: number }): Promise<object> {
  const { step, session, microBatch, models } = await stepOf(which);
  const { losses, gradients } = await runStep(session, microBatches(batch, microBatch), models);
  const path = join(folder, `gradients.idat ${which.variant}.safetensors`);
  const tensors = ROLES.flatMap((role) => asTensors(step[role]!, gradients[role]!, `${role}.`));
  await writeFileAtomic(path, encodeSafetensors(tensors));
  return { losses, gradients: path };
}

/** One step (or forward pass) over the first `count` images: seconds in all, and seconds inside ONNX Runtime. */
async function seconds({ part, count, ...which }: Which & { part: 'step' | 'forward'; count: number }) {
  const run = part === 'step' ? await stepWork(which, count) : await forwardWork(which, count);
  takeRunMs();
  const started = performance.now();
  await run();
  const elapsedMs = performance.now() - started;
  return { seconds: elapsedMs / 1000, runSeconds: takeRunMs() / 1000 };
}

async function stepWork(which: Which, count: number) {
  const { session, microBatch, models } = await stepOf(which);
  const batch = microBatches(count, microBatch);
  return () => runStep(session, batch, models);
}

async function forwardWork(which: Which, count: number) {
  const classifier = await classifierOf(which);
  const parameters = initialParameters(classifier.layout, 'student');
  const calls = pieces(count, classifier.batch).map(({ positions }) => imagesAt(positions));
  return async () => {
    for (const pixels of calls) await classifier.logits(pixels, parameters);
  };
}

/** The student's logits of the first image. */
async function logits(which: Which): Promise<object> {
  const classifier = await classifierOf(which);
  const [first] = pieces(classifier.batch, classifier.batch);
  const all = await classifier.logits(imagesAt(first!.positions), initialParameters(classifier.layout, 'student'));
  return { logits: [...all.subarray(0, all.length / classifier.batch)] };
}

/** Floating-point operations an image costs in the matrix products of the compiled step. */
async function flops(which: Which): Promise<object> {
  const { step, microBatch, models } = await stepOf(which);
  const [{ feeds }] = microBatches(microBatch, microBatch) as [MicroBatch];
  const parameters = {
    'student.parameters': models.student.parameters,
    'teacher.parameters': models.teacher.parameters,
  };
  return { flopsPerImage: (await productFlops(step.program, { ...feeds, ...parameters })) / microBatch };
}

const ort = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
const { version } = JSON.parse(await readFile(ort, 'utf8')) as { version: string };
const handlers = {
  check,
  seconds,
  logits,
  flops,
  setting: async ({ part, ...which }: Which & { part: 'step' | 'forward' }) => ({
    batch: part === 'step' ? (await stepOf(which)).microBatch : (await classifierOf(which)).batch,
    threads: runtime.threads,
  }),
  product: async () => ({ gigaflopsPerSecond: await productPeak(runtime.threads) }),
};
await serve({ versions: { node: process.versions.node, onnxruntime: version } }, handlers);
await runtime.close();
