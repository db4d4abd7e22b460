/** Top-1 accuracy, and the forward pass it needs. */
import { featureWidth, streamSize } from '../backbones/architecture.js';
import { IdatError } from '../errors.js';
import { size } from '../graph/tensor.js';
import { methodByName } from '../methods/index.js';
import { ahead } from '../runtime/ahead.js';
import { inOrder } from '../runtime/in-order.js';
import type { Runtime } from '../runtime/runtime.js';
import type { ClassCount } from '../settings/record.js';
import type { Answers } from '../statistics/index.js';
import type { CompileOptions } from '../step/compile.js';
import { buildForward } from '../step/forward.js';
import { autoMicroBatch, largestAt } from '../step/micro-batch.js';
import type { ModelSpec, Prefix, TrainableLayout } from '../step/model.js';
import type { ModelInputs } from './inputs.js';

/** Images in one call, at most. */
const EVALUATED_AT_ONCE = 64;

/** Nothing is kept for a backward pass, so that four times the images of a training call take no more memory. */
export function evaluationBatch(model: ModelSpec, prefix: Prefix | null = null): number {
  return 4 * autoMicroBatch(EVALUATED_AT_ONCE / 4, streamOf(model, prefix));
}

/** A model ready to run forward. */
export interface LoadedModel {
  readonly model: ModelSpec;
  /** Images in one call. */
  readonly batch: number;
  readonly layout: TrainableLayout;
  /** Calls to begin before the first has ended. */
  readonly atOnce: number;
  /** What the model reads for `batch` images: `images` [batch, 3, S, S], or a prefix's results -> logits [batch, classes], or features. */
  output(inputs: Record<string, Float32Array>, parameters: Float32Array): Promise<Float32Array>;
  close(): Promise<void>;
}

export interface Score {
  correct: number;
  total: number;
  accuracy: number;
  /** The counts of each class. */
  byClass: ClassCount[];
}

/**
 * @param options.images how many there will be at most
 * @param options.prefix the model's frozen prefix, whose results are given in place of images
 * @param options.features whether what the head reads is wanted in place of what it gives
 */
export async function loadModel(
  runtime: Runtime,
  model: ModelSpec,
  {
    prefix = null,
    images = Infinity,
    ...options
  }: Omit<CompileOptions, 'sink'> & { prefix?: Prefix | null; images?: number; features?: boolean } = {},
): Promise<LoadedModel> {
  const batch = Math.min(images, evaluationBatch(model, prefix));
  let layout: TrainableLayout | undefined;
  const session = await runtime.load((sink) => {
    const built = buildForward({ model, batch, prefix, ...options, sink });
    layout = built.layout;
    return built.program;
  });
  const { size: numbers } = layout!;
  return {
    model,
    batch,
    layout: layout!,
    atOnce: session.atOnce,
    // behind the model's own lies what only training needs
    output: async (inputs, parameters) => {
      const outputs = await session.run({ ...inputs, parameters: parameters.subarray(0, numbers) });
      return outputs[options.features ? 'features' : 'logits']!;
    },
    close: () => session.close(),
  };
}

/** Numbers in one image's stream of tokens; behind a prefix no more than it hands over: one token for linear probing. */
export function streamOf(model: ModelSpec, prefix: Prefix | null = null): number {
  const { config } = model.backbone;
  const method = methodByName(model.method);
  const added = method.addedTokens?.(method.options.parse(model.methodOptions)) ?? 0;
  const own = streamSize(config);
  const given = prefix ? Math.max(...prefix.tensors.map(({ shape }) => size(shape))) : own;
  return Math.min(own, given) + added * featureWidth(config);
}

/**
 * What a model gives for all images of a split, logits or features, a batch at a time.
 * @returns for each batch the first image's index and the rows of the images there are, without the padding
 */
export async function* allOutputs(
  loaded: LoadedModel,
  split: ModelInputs,
  parameters: Float32Array,
): AsyncGenerator<{ start: number; values: Float32Array }> {
  const { batch } = loaded;
  async function* batches() {
    for (let start = 0; start < split.count; start += batch) {
      const indices = Array.from({ length: batch }, (_, i) => Math.min(start + i, split.count - 1));
      yield { start, inputs: await split.read(indices) };
    }
  }
  const run = ({ inputs }: { inputs: Record<string, Float32Array> }) => loaded.output(inputs, parameters);
  for await (const [{ start }, values] of inOrder(ahead(batches()), loaded.atOnce, run)) {
    yield { start, values: values.subarray(0, Math.min(batch, split.count - start) * (values.length / batch)) };
  }
}

/**
 * Top-1 of a model on a split.
 * @param options.of the split's name, for messages
 * @param options.signal when aborted, the answer is null
 * @throws IdatError `train.diverged` when logits are not numbers
 */
export async function evaluate(
  loaded: LoadedModel,
  split: ModelInputs,
  parameters: Float32Array,
  { of, onProgress, signal, onLogits }: EvaluateOptions,
): Promise<Score | null> {
  const { classes } = loaded.model;
  const byClass = Array.from({ length: classes }, () => ({ correct: 0, total: 0 }));
  for await (const { start, values: logits } of allOutputs(loaded, split, parameters)) {
    if (signal?.aborted) return null;
    refuseDiverged(logits, `the logits of the ${of} images`);
    const end = start + logits.length / classes;
    for (const [image, label] of split.labels.subarray(start, end).entries()) {
      byClass[label]!.total++;
      if (largestAt(logits, image, classes) === label) byClass[label]!.correct++;
      onLogits?.(logits.subarray(image * classes, (image + 1) * classes));
    }
    onProgress?.(end, split.count);
  }
  const correct = byClass.reduce((sum, counts) => sum + counts.correct, 0);
  return { correct, total: split.count, accuracy: correct / split.count, byClass };
}

/**
 * What a model answers to all images of a split.
 * @param options as for `evaluate`; when the signal is aborted, the answer is null
 * @throws IdatError `train.diverged` when logits are not numbers
 */
export async function allAnswers(
  loaded: LoadedModel,
  split: ModelInputs,
  parameters: Float32Array,
  { of, onProgress, signal }: EvaluateOptions,
): Promise<Answers | null> {
  const { classes } = loaded.model;
  const all = new Float32Array(split.count * classes);
  for await (const { start, values: logits } of allOutputs(loaded, split, parameters)) {
    if (signal?.aborted) return null;
    refuseDiverged(logits, `the logits of the ${of} images`);
    all.set(logits, start * classes);
    onProgress?.(start + logits.length / classes, split.count);
  }
  return { classes, logits: all, labels: split.labels };
}

export interface EvaluateOptions {
  readonly of: string;
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal | undefined;
  /** Told of each image, in order. */
  readonly onLogits?: (logits: Float32Array) => void;
}

/**
 * The last update may have been one too many, after which no gradient tells, and a run's tensors may have been edited. Of
 * logits that are no numbers the first class would look like the largest.
 * @throws IdatError `train.diverged`
 */
export function refuseDiverged(values: Float32Array, what: string): void {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  const problem = `${what} are not numbers (such as ${values[at]})`;
  throw new IdatError('train.diverged', `${problem}: training has diverged; train again with a lower lr`);
}
