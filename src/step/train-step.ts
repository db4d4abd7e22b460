/**
 * The compiled step: student, teacher, their losses and every gradient as one program. `loss.total` is what the paper
 * minimises (Equations 4 and 5): CE(student) + α·CE(teacher) + β·D, where α = β = 1 unless the settings say otherwise.
 */
import { crossEntropy } from '../distill/index.js';
import { IdatError } from '../errors.js';
import { gradients } from '../graph/differentiate.js';
import type { Program } from '../graph/emit.js';
import { add, input, mul, scale, sumAll } from '../graph/ops/index.js';
import { packGradients } from '../graph/pack.js';
import { type Tensor, within } from '../graph/tensor.js';
import { methodByName } from '../methods/index.js';
import { type CompileOptions, compile } from './compile.js';
import { type Distillation, distillationLoss, tapsOf } from './distillation.js';
import { type ModelSpec, type Prefix, prepareModel, type TracedModel, type TrainableLayout } from './model.js';
import type { Role } from './roles.js';
import type { Draw } from './scope.js';

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
