/** What a run's models make of images: logits, features, and for chosen ones their attention. */
import { blocks } from '../backbones/architecture.js';
import { normaliseInto } from '../data/preprocess.js';
import { IdatError } from '../errors.js';
import type { Shape } from '../graph/tensor.js';
import { pixelsOf } from '../image-size.js';
import type { Runtime, Session } from '../runtime/runtime.js';
import type { Answers } from '../statistics/index.js';
import type { CompileOptions } from '../step/compile.js';
import type { ModelSpec, TrainableLayout } from '../step/model.js';
import { attentionOutput, buildObserved } from '../step/observe.js';
import { evaluationBatch, refuseDiverged } from '../train/evaluate.js';
import type { ModelInputs } from '../train/inputs.js';
import {
  type AttentionMaps,
  attentionMaps,
  attentionRollout,
  type BlockAttention,
  type Reader,
  readerOf,
} from './attention.js';

/** A loaded program that shows what is inside. */
interface Observed {
  readonly session: Session;
  readonly parameters: Float32Array;
  readonly shapes: Readonly<Record<string, Shape>>;
}

/** What of a run is needed to load one of its models. */
export interface Source {
  readonly runtime: Runtime;
  readonly model: ModelSpec;
  readonly compile: Omit<CompileOptions, 'sink'>;
  parameters(layout: TrainableLayout): Promise<Float32Array>;
}

async function load(source: Source, batch: number, attention: readonly number[]): Promise<Observed> {
  let built: ReturnType<typeof buildObserved> | undefined;
  const session = await source.runtime.load((sink) => {
    built = buildObserved({ model: source.model, batch, attention, ...source.compile, sink });
    return built.program;
  });
  return { session, parameters: await source.parameters(built!.layout), shapes: built!.shapes };
}

/** Answers and features of all images of a split. @throws IdatError `train.diverged`, `run.interrupted` */
export async function observeAll(
  source: Source,
  split: ModelInputs,
  { signal, onProgress }: { signal?: AbortSignal | undefined; onProgress?: (done: number, total: number) => void },
): Promise<{ answers: Answers; features: Float32Array[] }> {
  const { classes } = source.model;
  const batch = Math.min(split.count, evaluationBatch(source.model));
  const { session, parameters } = await load(source, batch, []);
  const logits = new Float32Array(split.count * classes);
  const features: Float32Array[] = [];
  for (let start = 0; start < split.count; start += batch) {
    if (signal?.aborted) throw new IdatError('run.interrupted', 'stopped before all images were seen');
    const indices = Array.from({ length: batch }, (_, i) => Math.min(start + i, split.count - 1));
    const outputs = await session.run({ ...(await split.read(indices)), parameters });
    const there = Math.min(batch, split.count - start);
    logits.set(outputs.logits!.subarray(0, there * classes), start * classes);
    const width = outputs.features!.length / batch;
    for (let i = 0; i < there; i++) features.push(outputs.features!.slice(i * width, (i + 1) * width));
    onProgress?.(start + there, split.count);
  }
  await session.close();
  refuseDiverged(logits, 'the logits of the test images');
  return { answers: { classes, logits, labels: split.labels }, features };
}

/** An image, what was answered, and where the model looked. */
export interface ObservedImage extends AttentionMaps {
  readonly logits: readonly number[];
}

/** Attention for some images, one after the other. @param images bytes [3, S, S] each */
export async function observeAttention(
  source: Source,
  images: readonly Uint8Array[],
  rollout: boolean,
): Promise<{ reader: Reader; block: number; images: ObservedImage[] }> {
  const { model } = source;
  const { config, mean, std } = model.backbone;
  const depth = blocks(config).length;
  const { block, reader } = readerOf(config, depth);
  if (rollout) refuseRollout(model, reader);
  const seen = rollout ? Array.from({ length: depth }, (_, b) => b) : [block];
  const { session, parameters, shapes } = await load(source, 1, seen);
  const observed: ObservedImage[] = [];
  for (const image of images) {
    const input = new Float32Array(image.length);
    normaliseInto(image, mean, std, input, 0);
    const outputs = await session.run({ images: input, parameters });
    const of = (b: number): BlockAttention => {
      const [, heads, queries, keys] = shapes[attentionOutput(b)] as [number, number, number, number];
      return { shares: outputs[attentionOutput(b)]!, heads, queries, keys };
    };
    const patches = config.family === 'vit' ? pixelsOf(config.imageSize) / config.patchSize ** 2 : 0;
    const through = rollout ? attentionRollout(seen.map(of), patches, reader) : null;
    refuseDiverged(outputs.logits!, 'the logits of the chosen images');
    observed.push({ ...attentionMaps(config, reader, of(block), through), logits: [...outputs.logits!] });
  }
  await session.close();
  return { reader, block, images: observed };
}

function refuseRollout({ backbone }: ModelSpec, reader: Reader): void {
  const refuse = (what: string) => {
    throw new IdatError('analysis.rollout', `${backbone.name}: rollout is not defined for ${what}; leave rollout out`);
  };
  if (backbone.config.family === 'swin') refuse('attention within windows');
  if (reader === 'pooling query') refuse('models that pool by a query of its own');
}
