/**
 * The compiled step: student, teacher, their losses and every gradient as one program.
 */
import { blocks, streamSize } from '../backbones/architecture.js';
import type { BlockSizes } from '../backbones/backbone.js';
import { crossEntropy, layerPairs, lossByName } from '../distill/index.js';
import { IdatError } from '../errors.js';
import { gradients } from '../graph/differentiate.js';
import { emit, type Program, type WeightSink } from '../graph/emit.js';
import { add, input, mul, scale, slice, stopGradient, sumAll } from '../graph/ops/index.js';
import { packGradients, unpackParameters } from '../graph/pack.js';
import { cutFrozenPrefix, FROZEN_PREFIX } from '../graph/passes/frozen-prefix.js';
import { applyPasses, FINAL_PASSES } from '../graph/passes/index.js';
import { quantiseFrozen } from '../graph/passes/quantise-frozen.js';
import { type Tensor, within } from '../graph/tensor.js';
import { methodByName } from '../methods/index.js';
import { autoMicroBatch } from './micro-batch.js';
import {
  imageShape,
  type ModelSpec,
  outputsOf,
  type Prefix,
  prefixInput,
  prepareModel,
  type Role,
  type TracedModel,
  type TrainableLayout,
  traceModel,
} from './model.js';
import type { Draw } from './scope.js';

/** In which precision products with frozen weights are computed: all in float32, or some in 8-bit integers. */
export const FROZEN_PRECISIONS = ['float32', 'int8-forward', 'int8'] as const;
export type FrozenPrecision = (typeof FROZEN_PRECISIONS)[number];

/** How a program is compiled. None of it changes what is computed, but for `frozen`, which rounds. */
export interface CompileOptions {
  /** Names of rewriting passes (graph/passes) to leave out. */
  readonly disable?: readonly string[] | undefined;
  /** Precision of products with frozen weights: `int8-forward` forward only, `int8` also backward. Default float32. */
  readonly frozen?: FrozenPrecision | undefined;
  /** Takes weights that compiling computes; without it they become part of the program. */
  readonly sink?: WeightSink | undefined;
}

/** The models that the distillation term trains. */
export const GRADIENT_FLOWS = ['both', 'student', 'teacher'] as const;
export type GradientFlow = (typeof GRADIENT_FLOWS)[number];

/** The tokens that a loss on features compares. */
export const FEATURE_TOKENS = ['all', 'class'] as const;
export type FeatureTokens = (typeof FEATURE_TOKENS)[number];

export interface Distillation {
  /** Name of a loss of src/distill: kl, mse, cosine, mae. */
  readonly loss: string;
  /** Softens the logits of kl; the paper's τ = 5. */
  readonly temperature: number;
  /** Weight of the teacher's cross-entropy. */
  readonly alpha: number;
  /** Multiplies a loss that softens by τ², which makes up for what the temperature takes from its gradient. Default: no. */
  readonly squaredTemperature?: boolean;
  /** Weight of the distillation term; `fed`: given anew to each call, as the input `beta` []. */
  readonly beta: number | 'fed';
  /** Of a loss on features: the teacher's blocks, counted from 1. Default: all. */
  readonly featureLayers?: readonly number[] | undefined;
  /** Of a loss on features: all tokens (the default), or class tokens alone. */
  readonly featureTokens?: FeatureTokens | undefined;
  /** Where the distillation term's gradient flows: into both models as in the authors' code, or into one only. */
  readonly gradient: GradientFlow;
}

/**
 * A micro-batch's losses and gradients.
 *
 * Inputs: `student.images` [m, 3, S, S] (normalised float32; with a prefix `student.prefix.0` [m, …] and so on),
 * `labels` int64 [m], `weights` float32 [m], `student.parameters` [P], with a teacher also `teacher.images` and
 * `teacher.parameters`, and with drop path `student.dropPath`, `teacher.dropPath` [depth, 2, m]: the multiplier (0 or
 * 1/keep) of each block's attention and MLP branch for each image; with a method that drops numbers, what is in `draws`.
 * A method that passes over its images twice has a `student.second.dropPath` as well. Where tokens are dropped,
 * `student.keptPatches` and `teacher.keptPatches` int64 [m, kept] say which patches each image keeps. Where it is fed,
 * `beta` [].
 *
 * Outputs: scalars `loss.student`, `loss.teacher`, `loss.distill`, `loss.total`; `student.logits` [m, K],
 * `teacher.logits`; `student.gradient` [P], `teacher.gradient` [Q].
 *
 * A model's own loss is its cross-entropy and, with such a method, what ties the two passes together.
 *
 * Every loss is Σ weights[b]·loss of image b. With weights 1/B for a batch of B images, the sums over its
 * micro-batches are exactly the batch's mean losses and their gradients; images of weight 0 are padding.
 */
export interface TrainStep {
  readonly program: Program;
  readonly student: TrainableLayout;
  readonly teacher: TrainableLayout | null;
  /** What each model draws at random in every step, drop path apart: the inputs `student.${name}`, uint8. */
  readonly draws: { readonly student: readonly Draw[]; readonly teacher: readonly Draw[] };
}

export interface StepOptions extends CompileOptions {
  readonly student: ModelSpec;
  readonly teacher: ModelSpec | null;
  readonly distillation: Distillation | null;
  readonly microBatch: number;
  /** Share of each target that is spread over all classes, in both models' cross-entropy; default 0. */
  readonly labelSmoothing?: number;
  /** Frozen prefixes to leave out (see `buildPrefix`): their results are fed in place of the images. Default: none. */
  readonly prefixes?: { readonly student: Prefix | null; readonly teacher: Prefix | null };
  /**
   * Also output what only `idat verify` needs: `student.logits.gradient`, `teacher.logits.gradient` (d total / d logits)
   * and `student.images.gradient`, for which there can be no prefix of the student.
   */
  readonly inspect?: boolean;
}

/** Compiles the step of a student and, when there is one, its teacher. */
export function buildTrainStep(options: StepOptions): TrainStep {
  const { student, teacher, distillation, microBatch, prefixes, labelSmoothing, disable = [], inspect } = options;
  if (teacher && teacher.classes !== student.classes) {
    throw new IdatError(
      'distill.classes',
      `the teacher has ${teacher.classes} classes and the student ${student.classes}; distillation needs the same classes in the same order`,
    );
  }
  const labels = input('labels', [microBatch], 'int64');
  const weights = input('weights', [microBatch]);
  const mean = (perImage: Tensor) => sumAll(mul(perImage, weights));
  const ownLossOf = (role: Role, { method }: ModelSpec, { logits, secondLogits }: TracedModel) => {
    const taskLoss = within({ role, part: 'distill.cross-entropy' }, () =>
      mean(crossEntropy(logits, labels, labelSmoothing)),
    );
    if (!secondLogits) return taskLoss;
    return within({ role, part: `methods.${method}` }, () =>
      add(taskLoss, mean(methodByName(method).consistency!(logits, secondLogits))),
    );
  };

  const tracing = { batch: microBatch, training: true, disable };
  const taps = tapsOf(student, teacher, distillation);
  const s = prepareModel(student, prefixes?.student, { role: 'student', ...tracing, taps: taps.student });
  const outputs: Record<string, Tensor> = { 'student.logits': s.logits };
  let total = ownLossOf('student', student, s);
  outputs['loss.student'] = total;

  const t = teacher && prepareModel(teacher, prefixes?.teacher, { role: 'teacher', ...tracing, taps: taps.teacher });
  if (t && distillation) {
    const { alpha, beta } = distillation;
    const ownLoss = ownLossOf('teacher', teacher, t);
    const distill = within({ part: `distill.${distillation.loss}` }, () => mean(distillationLoss(s, t, distillation)));
    total = within({ part: 'train.total loss' }, () => {
      const weighted = beta === 'fed' ? mul(distill, input('beta', [])) : scale(distill, beta);
      return add(add(total, scale(ownLoss, alpha)), weighted);
    });
    outputs['teacher.logits'] = t.logits;
    outputs['loss.teacher'] = ownLoss;
    outputs['loss.distill'] = distill;
  }
  outputs['loss.total'] = total;

  // One walk for all gradients, so that what student and teacher share is differentiated once.
  const models = t ? [s, t] : [s];
  const probes = inspect ? [...models.map((m) => m.logits), s.images] : [];
  const found = gradients(total, [...models.flatMap((m) => m.parameters), ...probes]);
  const pack = (role: Role, gradients: readonly Tensor[]) =>
    within({ role, part: 'train.gradient vector', backward: true }, () => packGradients(gradients));
  outputs['student.gradient'] = pack('student', found.splice(0, s.parameters.length));
  if (t) outputs['teacher.gradient'] = pack('teacher', found.splice(0, t.parameters.length));
  if (inspect) {
    outputs['student.logits.gradient'] = found.shift()!;
    if (t) outputs['teacher.logits.gradient'] = found.shift()!;
    outputs['student.images.gradient'] = found.shift()!;
  }
  const program = compile(outputs, models, options);
  const drawsOf = (role: Role, model: TracedModel | null) =>
    model?.draws.filter(({ name }) => `${role}.${name}` in program.inputs) ?? [];
  return {
    program,
    student: s.layout,
    teacher: t?.layout ?? null,
    draws: { student: drawsOf('student', s), teacher: drawsOf('teacher', t) },
  };
}

/** The blocks a loss on features compares; none for a loss on logits. */
function tapsOf(student: ModelSpec, teacher: ModelSpec | null, distillation: Distillation | null) {
  if (!teacher || !distillation || lossByName(distillation.loss).reads === 'logits')
    return { student: [], teacher: [] };
  const [own, theirs] = [student, teacher].map(({ backbone }) => blocks(backbone.config)) as [
    BlockSizes[],
    BlockSizes[],
  ];
  const { featureLayers, featureTokens } = distillation;
  const without = [student, teacher].find(({ backbone }) => backbone.config.family !== 'vit');
  if (featureTokens === 'class' && without) {
    const what = `${without.backbone.name} has no class token`;
    throw new IdatError('distill.features', `${what}; compare all tokens (featureTokens all) or logits`);
  }
  const absent = featureLayers?.find((layer) => layer > theirs.length);
  if (absent !== undefined) {
    const what = `the teacher has ${theirs.length} blocks, layer ${absent} is not one of them`;
    throw new IdatError('distill.features', `${what}; choose featureLayers from 1 to ${theirs.length}`);
  }
  const pairs = layerPairs(own.length, theirs.length, featureLayers);
  return {
    student: pairs.map((pair) => ({ block: pair.student, width: theirs[pair.teacher]!.width })),
    teacher: pairs.map((pair) => ({ block: pair.teacher, width: null })),
  };
}

/** The distillation term of each image [B], the mean over what is compared; its gradient flows only where it shall. */
function distillationLoss(student: TracedModel, teacher: TracedModel, options: Distillation): Tensor {
  const { temperature, squaredTemperature = false, gradient } = options;
  const loss = lossByName(options.loss);
  const terms = comparedTensors(student, teacher, options).map(([s, t]) =>
    loss.perImage(
      gradient === 'teacher' ? stopGradient(s) : s,
      gradient === 'student' ? stopGradient(t) : t,
      temperature,
    ),
  );
  const factor = (squaredTemperature && loss.softens ? temperature ** 2 : 1) / terms.length;
  const sum = terms.reduce(add);
  return factor === 1 ? sum : scale(sum, factor);
}

/** The student's and the teacher's tensors that a loss holds against each other. */
function comparedTensors(
  student: TracedModel,
  teacher: TracedModel,
  { loss, featureTokens = 'all' }: Distillation,
): [Tensor, Tensor][] {
  if (lossByName(loss).reads === 'logits') return [[student.logits, teacher.logits]];
  const classToken = (x: Tensor) => slice(x, 1, 0, 1);
  return student.tapped.map((own, i) => {
    const theirs = teacher.tapped[i]!;
    if (featureTokens === 'class') return [classToken(own), classToken(theirs)];
    if (own.shape[1] === theirs.shape[1]) return [own, theirs];
    const what = `the student has ${own.shape[1]} tokens where the teacher has ${theirs.shape[1]}`;
    throw new IdatError('distill.features', `${what}; compare class tokens (featureTokens class) or logits`);
  });
}

export interface ForwardOptions extends CompileOptions {
  readonly model: ModelSpec;
  readonly batch: number;
  /** As for the step, but built for evaluation. */
  readonly prefix?: Prefix | null;
}

/** Compiles a model's forward pass: inputs `images` (or those of a prefix) and `parameters`, output `logits` [batch, K]. */
export function buildForward(options: ForwardOptions): { program: Program; layout: TrainableLayout } {
  const { model, batch, prefix, disable = [] } = options;
  const prepared = prepareModel(model, prefix, { role: '', batch, training: false, disable });
  return { program: compile({ logits: prepared.logits }, [prepared], options), layout: prepared.layout };
}

/** Images in one call of a prefix: its results are kept, and should not depend on the size of a run's batches. */
const PREFIX_BATCH = 16;

/**
 * Compiles the frozen prefix of a model; null where it has none worth running apart (see graph/passes/frozen-prefix.ts).
 * @param training whether it is the prefix of a step, or of the forward pass, in which nothing is dropped
 */
export function buildPrefix(model: ModelSpec, disable: readonly string[] = [], training = true): Prefix | null {
  if (disable.includes(FROZEN_PREFIX)) return null;
  const batch = autoMicroBatch(PREFIX_BATCH, streamSize(model.backbone.config));
  const traced = traceModel(model, { role: '', batch, training, disable });
  const cut = cutFrozenPrefix(outputsOf(traced), traced.images, prefixInput);
  if (!cut) return null;
  const tensors = cut.boundary.map((t, i) => ({ name: prefixInput(i), shape: imageShape(t, batch) }));
  const outputs = Object.fromEntries(cut.boundary.map((t, i) => [prefixInput(i), t]));
  return { compile: (sink) => compile(outputs, [], { disable, sink }), batch, tensors };
}

/** Packs parameters, tidies the graph and emits it. */
function compile(
  outputs: Record<string, Tensor>,
  models: readonly TracedModel[],
  { disable, frozen = 'float32', sink }: CompileOptions,
): Program {
  const groups = models.map((m) => ({ inputName: m.parametersInput, parameters: m.parameters }));
  const graph = within({ part: 'train.parameters' }, () => unpackParameters(outputs, groups));
  let final = applyPasses(FINAL_PASSES, Object.values(graph), disable);
  if (frozen !== 'float32') final = quantiseFrozen(final, frozen === 'int8' ? 'both' : 'forward');
  return emit(Object.fromEntries(Object.keys(graph).map((name, i) => [name, final[i]!])), sink);
}
