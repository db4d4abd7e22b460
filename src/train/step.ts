/**
 * The compiled step: student, teacher, their losses and every gradient as one program.
 */
import { streamSize } from '../backbones/architecture.js';
import { crossEntropy, lossByName } from '../distill/index.js';
import { IdatError } from '../errors.js';
import { gradients } from '../graph/differentiate.js';
import { emit, type Program, type WeightSink } from '../graph/emit.js';
import { add, input, mul, scale, stopGradient, sumAll } from '../graph/ops/index.js';
import { packGradients, unpackParameters } from '../graph/pack.js';
import { cutFrozenPrefix, FROZEN_PREFIX } from '../graph/passes/frozen-prefix.js';
import { applyPasses, FINAL_PASSES, FORWARD_PASSES, TRAINING_PASSES } from '../graph/passes/index.js';
import { quantiseFrozen } from '../graph/passes/quantise-frozen.js';
import { type Tensor, within } from '../graph/tensor.js';
import { autoMicroBatch } from './micro-batch.js';
import {
  imageShape,
  type ModelSpec,
  type Prefix,
  prefixInput,
  prepareModel,
  type Role,
  type TracedModel,
  type TrainableLayout,
  traceModel,
} from './model.js';

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

export interface Distillation {
  /** Name of a loss of src/distill: kl, mse, cosine, mae. */
  readonly loss: string;
  /** Softens the logits of kl; the paper's τ = 5. */
  readonly temperature: number;
  /** Weight of the teacher's cross-entropy. */
  readonly alpha: number;
  /** Weight of the distillation term. */
  readonly beta: number;
  /** Where the distillation term's gradient flows: into both models as in the authors' code, or the student only. */
  readonly gradient: 'both' | 'student';
}

/**
 * A micro-batch's losses and gradients.
 *
 * Inputs: `student.images` [m, 3, S, S] (normalised float32; with a prefix `student.prefix.0` [m, …] and so on),
 * `labels` int64 [m], `weights` float32 [m], `student.parameters` [P], with a teacher also `teacher.images` and
 * `teacher.parameters`, and with drop path `student.dropPath`, `teacher.dropPath` [depth, 2, m]: the multiplier (0 or
 * 1/keep) of each block's attention and MLP branch for each image.
 *
 * Outputs: scalars `loss.student`, `loss.teacher`, `loss.distill`, `loss.total`; `student.logits` [m, K],
 * `teacher.logits`; `student.gradient` [P], `teacher.gradient` [Q].
 *
 * Every loss is Σ weights[b]·loss of image b. With weights 1/B for a batch of B images, the sums over its
 * micro-batches are exactly the batch's mean losses and their gradients; images of weight 0 are padding.
 */
export interface TrainStep {
  readonly program: Program;
  readonly student: TrainableLayout;
  readonly teacher: TrainableLayout | null;
}

export interface StepOptions extends CompileOptions {
  readonly student: ModelSpec;
  readonly teacher: ModelSpec | null;
  readonly distillation: Distillation | null;
  readonly microBatch: number;
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
  const { student, teacher, distillation, microBatch, prefixes, disable = [], inspect } = options;
  if (teacher && teacher.classes !== student.classes) {
    throw new IdatError(
      'distill.classes',
      `the teacher has ${teacher.classes} classes and the student ${student.classes}; distillation needs the same classes in the same order`,
    );
  }
  const labels = input('labels', [microBatch], 'int64');
  const weights = input('weights', [microBatch]);
  const mean = (perImage: Tensor) => sumAll(mul(perImage, weights));
  const ownLossOf = (role: Role, logits: Tensor) =>
    within({ role, part: 'distill.cross-entropy' }, () => mean(crossEntropy(logits, labels)));

  const passes = [...FORWARD_PASSES, ...TRAINING_PASSES];
  const s = prepareModel(student, 'student', microBatch, prefixes?.student, disable, passes);
  const outputs: Record<string, Tensor> = { 'student.logits': s.logits };
  let total = ownLossOf('student', s.logits);
  outputs['loss.student'] = total;

  const t = teacher && prepareModel(teacher, 'teacher', microBatch, prefixes?.teacher, disable, passes);
  if (t && distillation) {
    const { loss, temperature, alpha, beta, gradient } = distillation;
    const ownLoss = ownLossOf('teacher', t.logits);
    const taught = gradient === 'both' ? t.logits : stopGradient(t.logits);
    const distill = within({ part: `distill.${loss}` }, () =>
      mean(lossByName(loss).perImage(s.logits, taught, temperature)),
    );
    total = within({ part: 'train.total loss' }, () => add(add(total, scale(ownLoss, alpha)), scale(distill, beta)));
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
  return { program: compile(outputs, models, options), student: s.layout, teacher: t?.layout ?? null };
}

export interface ForwardOptions extends CompileOptions {
  readonly model: ModelSpec;
  readonly batch: number;
  /** As for the step, but built for the model without drop path. */
  readonly prefix?: Prefix | null;
}

/** Compiles a model's forward pass: inputs `images` (or those of a prefix) and `parameters`, output `logits` [batch, K]. */
export function buildForward(options: ForwardOptions): { program: Program; layout: TrainableLayout } {
  const { model, batch, prefix, disable = [] } = options;
  const prepared = prepareModel({ ...model, dropPath: 0 }, '', batch, prefix, disable, FORWARD_PASSES);
  return { program: compile({ logits: prepared.logits }, [prepared], options), layout: prepared.layout };
}

/** Images in one call of a prefix: its results are kept, and should not depend on the size of a run's batches. */
const PREFIX_BATCH = 16;

/** Compiles the frozen prefix of a model; null where it has none worth running apart (see graph/passes/frozen-prefix.ts). */
export function buildPrefix(model: ModelSpec, disable: readonly string[] = []): Prefix | null {
  if (disable.includes(FROZEN_PREFIX)) return null;
  const batch = autoMicroBatch(PREFIX_BATCH, streamSize(model.backbone.config));
  const traced = traceModel(model, '', batch, disable);
  const cut = cutFrozenPrefix([traced.logits], traced.images, prefixInput);
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
