/**
 * idat as a contestant: the compiled step and the classifier, run as training and evaluation run them.
 *
 *     node --import ./time-runs.js idat-peer.js FOLDER
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { matrixPeakFeeds, matrixPeakProgram } from '../src/bench/matrix-peak.js';
import { writeFileAtomic } from '../src/files/node/atomic-write.js';
import { encodeSafetensors } from '../src/files/safetensors.js';
import { size } from '../src/graph/tensor.js';
import { startRuntime } from '../src/runtime/node/start.js';
import { withWeightFile } from '../src/runtime/node/weight-file.js';
import type { Session } from '../src/runtime/runtime.js';
import { autoMicroBatch, pieces } from '../src/step/micro-batch.js';
import type { Prefix } from '../src/step/model.js';
import { buildPrefix } from '../src/step/prefix.js';
import { buildTrainStep, type TrainStep } from '../src/step/train-step.js';
import type { Call } from '../src/train/batches.js';
import { type LoadedModel, loadModel, streamOf } from '../src/train/evaluate.js';
import { batchGradients } from '../src/train/update-step.js';
import { serve } from './contestant.js';
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
import { summarise } from './readings.js';
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
  /** For each input of the step that images decide: the numbers of one image after the other. */
  readonly inputs: Readonly<Record<string, { values: Float32Array; length: number }>>;
}

const folder = process.argv[2]!;
const backbones = await openBackbones(folder);
const { images, labels } = await readBatch(folder);
const runtime = await startRuntime({ device: 'cpu' });
const takeRunMs = startRunClock();
const steps = new Map<string, LoadedStep>();
const classifiers = new Map<string, LoadedModel>();

const specs = ({ adapter }: Pick<Which, 'adapter'>) => ({
  student: modelSpec(backbones.student, adapter),
  teacher: modelSpec(backbones.teacher, adapter),
});

async function stepOf(which: Which): Promise<LoadedStep> {
  const key = `${which.variant} ${which.adapter}`;
  const known = steps.get(key);
  if (known) return known;
  const { student, teacher } = specs(which);
  const microBatch = autoMicroBatch(BATCH_SIZE, streamOf(student));
  const variant = variantNamed(which.variant);
  const prefixes = variant.prefix
    ? { student: buildPrefix(student), teacher: buildPrefix(teacher) }
    : { student: null, teacher: null };
  const inputs: LoadedStep['inputs'] = Object.assign(
    {},
    ...(await Promise.all(ROLES.map((role) => inputsOf(role, prefixes[role])))),
  );
  const loaded = await withWeightFile(async (sink) => {
    const options = { student, teacher, distillation: DISTILLATION, microBatch, prefixes, sink, ...variant.step };
    const step = buildTrainStep(options);
    const models = {
      student: { parameters: initialParameters(step.student, 'student') },
      teacher: { parameters: initialParameters(step.teacher!, 'teacher') },
    };
    return { step, session: await runtime.load(() => step.program), microBatch: options.microBatch, models, inputs };
  });
  steps.set(key, loaded);
  return loaded;
}

async function classifierOf(which: Which): Promise<LoadedModel> {
  const key = `${which.variant} ${which.adapter}`;
  const classifier =
    classifiers.get(key) ??
    (await loadModel(runtime, specs(which).student, { frozen: variantNamed(which.variant).step.frozen }));
  classifiers.set(key, classifier);
  return classifier;
}

function rowsAt(values: Float32Array, length: number, positions: readonly number[]): Float32Array {
  const picked = new Float32Array(positions.length * length);
  positions.forEach((at, i) => {
    picked.set(values.subarray(at * length, (at + 1) * length), i * length);
  });
  return picked;
}

const imagesAt = (positions: readonly number[]): Float32Array => rowsAt(images, IMAGE_LENGTH, positions);

/** What a step reads of all images in one model: their pixels, or what the prefix makes of them. */
async function inputsOf(role: (typeof ROLES)[number], prefix: Prefix | null): Promise<LoadedStep['inputs']> {
  if (!prefix) return { [`${role}.images`]: { values: images, length: IMAGE_LENGTH } };
  const lengths = prefix.tensors.map(({ shape }) => size(shape));
  const values = lengths.map((length) => new Float32Array(BATCH_SIZE * length));
  const session = await runtime.load(() => prefix.compile());
  for (const { positions } of pieces(BATCH_SIZE, prefix.batch)) {
    const outputs = await session.run({ images: imagesAt(positions) });
    prefix.tensors.forEach(({ name }, i) => {
      positions.forEach((at, row) => {
        const length = lengths[i]!;
        values[i]!.set(outputs[name]!.subarray(row * length, (row + 1) * length), at * length);
      });
    });
  }
  await session.close();
  return Object.fromEntries(
    prefix.tensors.map(({ name }, i) => [`${role}.${name}`, { values: values[i]!, length: lengths[i]! }]),
  );
}

/** The first `count` images of the batch, cut up as training cuts up a batch. */
function microBatches(count: number, { microBatch, inputs }: LoadedStep): Call[] {
  return pieces(count, microBatch).map(({ positions, weights }) => {
    const own = BigInt64Array.from(positions, (at) => labels[at]!);
    const feeds = Object.entries(inputs).map(([name, { values, length }]) => [name, rowsAt(values, length, positions)]);
    return { feeds: { labels: own, weights, ...Object.fromEntries(feeds) }, labels: own, weights };
  });
}

/** Losses of the first images; gradients into a file, named as `student.blocks.3.adapter.linear1.weight`. */
async function check({ batch, ...which }: Which & { batch: number }): Promise<object> {
  const loaded = await stepOf(which);
  const { step, session, models } = loaded;
  const { losses, gradients } = await batchGradients(session, microBatches(batch, loaded), models);
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
  const loaded = await stepOf(which);
  const batch = microBatches(count, loaded);
  return () => batchGradients(loaded.session, batch, loaded.models);
}

async function forwardWork(which: Which, count: number) {
  const classifier = await classifierOf(which);
  const parameters = initialParameters(classifier.layout, 'student');
  const calls = pieces(count, classifier.batch).map(({ positions }) => imagesAt(positions));
  return async () => {
    for (const pixels of calls) await classifier.output({ images: pixels }, parameters);
  };
}

/** The student's logits of the first image. */
async function logits(which: Which): Promise<object> {
  const classifier = await classifierOf(which);
  const [first] = pieces(classifier.batch, classifier.batch);
  const all = await classifier.output(
    { images: imagesAt(first!.positions) },
    initialParameters(classifier.layout, 'student'),
  );
  return { logits: [...all.subarray(0, all.length / classifier.batch)] };
}

/** Floating-point operations an image costs in the matrix products of the compiled step. */
async function flops(which: Which): Promise<object> {
  const { step, microBatch } = await stepOf(which);
  return { flopsPerImage: step.program.flops / microBatch };
}

const PRODUCT_RUNS = 20;

/** GFLOP/s of one product with a constant weight, in the kernel alone: the median of 20. */
async function productPeak(): Promise<number> {
  const program = matrixPeakProgram();
  const session = await runtime.loadProfiled(() => program);
  for (let run = 0; run < PRODUCT_RUNS; run++) await session.run(matrixPeakFeeds());
  const kernels = (await session.kernelTimes()).flatMap((run) => run.kernels);
  await session.close();
  const times = kernels.filter(({ op }) => op === 'Gemm').map(({ ms }) => ms);
  return (program.flops * PRODUCT_RUNS) / times.length / summarise(times).median / 1e6;
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
  product: async () => ({ gigaflopsPerSecond: await productPeak() }),
};
await serve({ versions: { node: process.versions.node, onnxruntime: version } }, handlers);
await runtime.close();
