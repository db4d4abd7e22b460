/** From the plan of a run to what the compiler is given: models, their frozen prefixes, the step. */
import { blocks as blockSizes } from '../backbones/architecture.js';
import type { Backbone } from '../backbones/backbone.js';
import { onlyMirrors } from '../data/augment.js';
import { lossByName } from '../distill/index.js';
import type { WeightSink } from '../graph/emit.js';
import { chosenBlocks } from '../settings/blocks.js';
import type { BatchPlan, ModelPlan, RunPlan } from '../settings/plan.js';
import { autoMicroBatch } from '../step/micro-batch.js';
import type { ModelSpec, Prefix, TrainableLayout, TunedModel } from '../step/model.js';
import { buildPrefix } from '../step/prefix.js';
import { type EachRole, mapPair, type Pair, ROLES, type Role } from '../step/roles.js';
import { buildTrainStep, type TrainStep } from '../step/train-step.js';
import { AdamW, decayRanges } from './adamw.js';
import { streamOf } from './evaluate.js';
import type { TrainState } from './state.js';

/**
 * A backbone with its tuning method and a head for so many classes.
 * @throws IdatError `config.field` for blocks that the backbone lacks
 */
export function modelSpec(
  { method, methodOptions, blocks: choice, dropPath, head, dropTokens }: ModelPlan,
  backbone: Backbone,
  classes: number,
): ModelSpec {
  const blocks = chosenBlocks(choice, { name: backbone.name, depth: blockSizes(backbone.config).length });
  return { backbone, method, methodOptions, blocks, classes, dropPath, head, dropTokens };
}

export const modelSpecs = (models: Pair<ModelPlan>, backbones: Pair<Backbone>, classes: number): Pair<ModelSpec> =>
  mapPair(models, (model, role) => modelSpec(model, backbones[role]!, classes));

/** What of each model is run once for each image; null where there is nothing. */
export type Prefixes = EachRole<Prefix | null>;

/**
 * Images that are changed at random in more than being mirrored have nothing that is the same in every epoch; and where features are distilled, what
 * the first blocks hand on is compared, so that nothing lies apart from training.
 */
export function prefixesOf(
  { student, teacher }: Pair<ModelSpec>,
  { augmentation, objective: { distillation }, compile }: Pick<RunPlan, 'augmentation' | 'objective' | 'compile'>,
): Prefixes {
  const comparesBlocks = distillation !== null && lossByName(distillation.loss).reads === 'features';
  if (!onlyMirrors(augmentation) || comparesBlocks) return { student: null, teacher: null };
  return { student: buildPrefix(student, compile.disable), teacher: teacher && buildPrefix(teacher, compile.disable) };
}

/** Images a call: as asked for, or by rule. @param images at hand, which bound a batch */
export function microBatchOf(
  { microBatch, size }: BatchPlan,
  specs: Pair<ModelSpec>,
  prefixes: Prefixes,
  images: number,
): number {
  const batch = Math.min(size, images);
  if (microBatch !== 'auto') return Math.min(microBatch, batch);
  const streams = ROLES.map((role) => {
    const spec = specs[role];
    return spec ? streamOf(spec, prefixes[role]) : 0;
  });
  return autoMicroBatch(batch, Math.max(...streams));
}

/** The step that the plan asks for. @param sink takes weights that compiling computes */
export function stepOf(
  { objective, compile }: Pick<RunPlan, 'objective' | 'compile'>,
  specs: Pair<ModelSpec>,
  prefixes: Prefixes,
  microBatch: number,
  sink?: WeightSink,
): TrainStep {
  const { distillation, labelSmoothing } = objective;
  return buildTrainStep({ ...specs, distillation, labelSmoothing, microBatch, prefixes, ...compile, sink });
}

export const tunedModels = (specs: Pair<ModelSpec>, step: TrainStep): Pair<TunedModel> =>
  mapPair(specs, (spec, role) => ({ spec, layout: step[role]! }));

export const layoutsOf = (models: Pair<TunedModel>): Pair<TrainableLayout> => mapPair(models, ({ layout }) => layout);

/** One optimiser a model, going on from the state. */
export function optimizersOf(
  { optimiser, seed }: Pick<RunPlan, 'optimiser' | 'seed'>,
  layouts: Pair<TrainableLayout>,
  state: Pick<TrainState, Role>,
): Pair<AdamW> {
  return mapPair(layouts, (layout, role) => {
    const { weightDecay } = optimiser;
    const options = { weightDecay, decayRanges: decayRanges(layout.slots), mask: layout.mask(seed, role) };
    return new AdamW(layout.size, options, state[role]!.adamw);
  });
}
