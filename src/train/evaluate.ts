/** Top-1 accuracy, and the forward pass it needs. */
import type { PixelStore } from '../data/index.js';
import type { Runtime } from '../runtime/runtime.js';
import { ahead, readImages } from './batches.js';
import { autoMicroBatch, countCorrect } from './micro-batch.js';
import { buildForward, type ModelSpec, type TrainableLayout } from './step.js';

/** Images in one call, at most. */
export const EVALUATED_AT_ONCE = 64;

/** A model ready to classify. */
export interface Classifier {
  readonly model: ModelSpec;
  /** Images in one call. */
  readonly batch: number;
  readonly layout: TrainableLayout;
  /** Normalised images [batch, 3, S, S] -> logits [batch, classes]. */
  logits(images: Float32Array, parameters: Float32Array): Promise<Float32Array>;
  close(): Promise<void>;
}

export interface Score {
  correct: number;
  total: number;
  accuracy: number;
}

export async function loadClassifier(runtime: Runtime, model: ModelSpec): Promise<Classifier> {
  const batch = autoMicroBatch(EVALUATED_AT_ONCE, tokensOf(model), model.backbone.config.width);
  const { program, layout } = buildForward({ model, batch });
  const session = await runtime.load(program);
  return {
    model,
    batch,
    layout,
    logits: async (images, parameters) => (await session.run({ images, parameters })).logits!,
    close: () => session.close(),
  };
}

/** Patches and class token. */
export function tokensOf({ backbone: { config } }: ModelSpec): number {
  return (config.imageSize / config.patchSize) ** 2 + 1;
}

/**
 * The logits of all images of a store, a batch at a time.
 * @returns for each batch the first image's index and the logits of the images there are, without the padding
 */
export async function* allLogits(
  classifier: Classifier,
  store: PixelStore,
  parameters: Float32Array,
): AsyncGenerator<{ start: number; logits: Float32Array }> {
  const { batch, model } = classifier;
  async function* batches() {
    for (let start = 0; start < store.count; start += batch) {
      const indices = Array.from({ length: batch }, (_, i) => Math.min(start + i, store.count - 1));
      yield { start, images: await readImages(store, indices, model) };
    }
  }
  for await (const { start, images } of ahead(batches())) {
    const logits = await classifier.logits(images, parameters);
    yield { start, logits: logits.subarray(0, Math.min(batch, store.count - start) * model.classes) };
  }
}

/** @param signal when aborted, the answer is null */
export async function evaluate(
  classifier: Classifier,
  store: PixelStore,
  parameters: Float32Array,
  onProgress?: (done: number, total: number) => void,
  signal?: AbortSignal,
): Promise<Score | null> {
  let correct = 0;
  for await (const { start, logits } of allLogits(classifier, store, parameters)) {
    if (signal?.aborted) return null;
    const end = start + logits.length / classifier.model.classes;
    correct += countCorrect(logits, store.labels.subarray(start, end));
    onProgress?.(end, store.count);
  }
  return { correct, total: store.count, accuracy: correct / store.count };
}
