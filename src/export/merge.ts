/**
 * From a tuned model to a plain checkpoint: what a method has learned, written into the backbone's own tensors.
 */
import { basename, resolve } from 'node:path';
import { tensorShapes } from '../backbones/architecture.js';
import { checkpointMetadata } from '../backbones/checkpoints/metadata.js';
import { IdatError } from '../errors.js';
import { writeFileAtomic } from '../files/node/atomic-write.js';
import { safetensorsPieces } from '../files/safetensors.js';
import { type Shape, size } from '../graph/tensor.js';
import { METHODS, methodByName } from '../methods/index.js';
import { type CardFacts, cardPath, modelCard } from '../report/model-card.js';
import { type MovedWeights, type OpenedRun, openRun } from '../runs/open-run.js';
import { buildForward } from '../step/forward.js';
import { type ModelSpec, regionOfModel, type TrainableLayout } from '../step/model.js';
import { refuseDiverged } from '../train/evaluate.js';
import { refuseOverwriting } from './refuse-overwriting.js';

export interface MergedTensor {
  readonly shape: Shape;
  /** Whether it is another than the backbone's. */
  readonly changed: boolean;
  /** Computed when asked for. */
  values(): Float32Array;
}

/**
 * The tensors, by timm's names, of a plain backbone with a head that computes what the tuned model does.
 *
 * @param parameters the trained numbers, laid out as `layout` says
 * @throws IdatError `merge.method` when no plain backbone can compute it
 */
export function mergedTensors(
  model: ModelSpec,
  layout: TrainableLayout,
  parameters: Float32Array,
): Map<string, MergedTensor> {
  const { config, weights } = model.backbone;
  const method = methodByName(model.method);
  const trained = new Map(layout.slots.map((slot) => [slot.name, slot]));
  const tuned = (name: string) => {
    const slot = trained.get(name)!;
    return parameters.slice(slot.offset, slot.offset + slot.size);
  };
  const shapes = tensorShapes(config);
  if (!method.merge) throw cannotMerge(model.method);

  const source = { tuned, frozen: (name: string, shape: Shape) => weights.values(name, shape) };
  const edited = method.merge(config, method.options.parse(model.methodOptions), source);
  const layerOf = (name: string) => name.replace(/\.bias$/, '.weight');
  // biases that the backbone lacks and its method adds, one number for each row of their layer's weight
  const added = new Set([...edited.keys()].filter((name) => !shapes.has(name) && shapes.has(layerOf(name))));
  for (const name of added) shapes.set(name, [shapes.get(layerOf(name))![0]!]);

  const region = regionOfModel(model);
  const merged = new Map<string, MergedTensor>();
  for (const [name, shape] of shapes) {
    const frozen = added.has(name) ? () => new Float32Array(size(shape)) : () => weights.values(name, shape);
    const tunes = region.has(added.has(name) ? layerOf(name) : name);
    const own = (tunes && edited.get(name)) || (trained.has(name) ? () => tuned(name) : undefined);
    merged.set(name, { shape, changed: own !== undefined, values: own ?? frozen });
  }
  for (const name of ['head.weight', 'head.bias']) {
    merged.set(name, { shape: trained.get(name)!.shape, changed: true, values: () => tuned(name) });
  }
  return merged;
}

function cannotMerge(name: string): IdatError {
  const merging = METHODS.filter((method) => method.merge).map((method) => method.name);
  const what = `no plain backbone computes what ${methodByName(name).title} adds to it`;
  return new IdatError('merge.method', `${name} does not merge: ${what}; methods that do: ${merging.join(', ')}`);
}

export interface MergeResult {
  /** The file written. */
  readonly path: string;
  readonly method: string;
  /** Tensors in it, and how many of them are others than the backbone's. */
  readonly tensors: number;
  readonly changed: number;
  /** The card beside the file, as text for people; null where the run has no result yet. */
  readonly card: string | null;
}

/**
 * Writes a run's student as a plain checkpoint in timm's naming, head included, and its card beside it.
 *
 * @throws IdatError `merge.method` when its method does not merge; `run.changed` when the backbone is another one;
 *   `export.overwrites`
 */
export async function mergeRun(runDir: string, out: string, moved: MovedWeights = {}): Promise<MergeResult> {
  const run = await openRun(runDir, moved);
  const path = resolve(out);
  await refuseOverwriting(run, [path, cardPath(path)]);
  const model = await run.model('student');
  const { backbone } = model;
  const { layout } = buildForward({ model, batch: 1 });
  const merged = mergedTensors(model, layout, await run.parameters('student', layout));
  const tensors = [...merged].map(([name, { shape, values }]) => ({ name, shape, data: values() }));
  for (const { name, data } of tensors) refuseDiverged(data, `numbers of ${name}`);
  const metadata = checkpointMetadata(backbone, {
    classes: model.classes,
    tag: `tuned-by-${model.method}`,
    trained: `${backbone.name} tuned by ${model.method} and merged`,
  });
  const changed = [...merged.values()].filter((tensor) => tensor.changed).length;
  const parameters = tensors.reduce((sum, { data }) => sum + data.length, 0);
  const text = await cardOf(run, { file: basename(path), backbone, parameters });
  await writeFileAtomic(path, [...safetensorsPieces(tensors, metadata)]);
  const card = text === null ? null : cardPath(path);
  if (card !== null) await writeFileAtomic(card, text!);
  return { path, method: model.method, tensors: tensors.length, changed, card };
}

/** Null where the run has no result yet. */
async function cardOf(
  { record, classes, result, metrics }: OpenedRun,
  facts: Pick<CardFacts, 'file' | 'backbone' | 'parameters'>,
): Promise<string | null> {
  return result && modelCard({ ...facts, record, classes, result, metrics: await metrics() });
}
