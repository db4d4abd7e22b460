/**
 * The compiled step: student, teacher, their losses and every gradient as one program.
 */
import type { Backbone } from '../backbones/backbone.js';
import { traceViT } from '../backbones/vit.js';
import { crossEntropy, lossByName } from '../distill/index.js';
import { IdatError } from '../errors.js';
import { gradients } from '../graph/differentiate.js';
import { emit, type Program } from '../graph/emit.js';
import { add, input, linear, mul, parameter, scale, stopGradient, sumAll } from '../graph/ops/index.js';
import { layout, packGradients, parameterName, type Slot, unpackParameters } from '../graph/pack.js';
import { applyPasses, FINAL_PASSES, FORWARD_PASSES } from '../graph/passes/index.js';
import type { Tensor } from '../graph/tensor.js';
import { methodByName } from '../methods/index.js';
import { type Initialiser, type Scope, truncatedNormal, zeroInit } from '../methods/method.js';
import { randomStream } from '../random.js';

/** One model to be tuned: a frozen backbone, a tuning method and a new head. */
export interface ModelSpec {
  readonly backbone: Backbone;
  /** Name of a tuning method of src/methods: sequential, parallel, parallel-shared, linear, full. */
  readonly method: string;
  /** Options of the method, such as `{ hidden: 4, scale: 0.1 }`; missing ones take the method's defaults. */
  readonly methodOptions: Readonly<Record<string, unknown>>;
  readonly classes: number;
  /** Drop-path rate of the last block; earlier blocks rise to it linearly from 0. */
  readonly dropPath: number;
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

/** The trainable tensors of one model: a flat float32 vector and where each tensor lies in it. */
export interface TrainableLayout {
  readonly slots: readonly Slot[];
  /** Number of trainable numbers. */
  readonly size: number;
  /** The starting values; the same seed and role give the same numbers. */
  initial(seed: number, role: 'student' | 'teacher'): Float32Array;
}

/**
 * A micro-batch's losses and gradients.
 *
 * Inputs: `student.images` [m, 3, S, S] (normalised float32), `labels` int64 [m], `weights` float32 [m],
 * `student.parameters` [P], with a teacher also `teacher.images` and `teacher.parameters`, and with drop path
 * `student.dropPath`, `teacher.dropPath` [depth, 2, m]: the multiplier (0 or 1/keep) of each block's attention and MLP
 * branch for each image.
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

export interface StepOptions {
  readonly student: ModelSpec;
  readonly teacher: ModelSpec | null;
  readonly distillation: Distillation | null;
  readonly microBatch: number;
  /** Names of rewriting passes (graph/passes) to leave out. */
  readonly disable?: readonly string[];
  /** Also output what only `idat verify` needs: `student.logits.gradient`, `teacher.logits.gradient` (d total / d logits) and `student.images.gradient`. */
  readonly inspect?: boolean;
}

/** Compiles the step of a student and, when there is one, its teacher. */
export function buildTrainStep({
  student,
  teacher,
  distillation,
  microBatch,
  disable = [],
  inspect,
}: StepOptions): TrainStep {
  if (teacher && teacher.classes !== student.classes) {
    throw new IdatError(
      'distill.classes',
      `the teacher has ${teacher.classes} classes and the student ${student.classes}; distillation needs the same classes in the same order`,
    );
  }
  const labels = input('labels', [microBatch], 'int64');
  const weights = input('weights', [microBatch]);
  const mean = (perImage: Tensor) => sumAll(mul(perImage, weights));

  const s = traceModel(student, 'student', microBatch, disable);
  const outputs: Record<string, Tensor> = { 'student.logits': s.logits };
  let total = mean(crossEntropy(s.logits, labels));
  outputs['loss.student'] = total;

  const t = teacher && traceModel(teacher, 'teacher', microBatch, disable);
  if (t && distillation) {
    const { loss, temperature, alpha, beta, gradient } = distillation;
    const ownLoss = mean(crossEntropy(t.logits, labels));
    const taught = gradient === 'both' ? t.logits : stopGradient(t.logits);
    const distill = mean(lossByName(loss).perImage(s.logits, taught, temperature));
    total = add(add(total, scale(ownLoss, alpha)), scale(distill, beta));
    outputs['teacher.logits'] = t.logits;
    outputs['loss.teacher'] = ownLoss;
    outputs['loss.distill'] = distill;
  }
  outputs['loss.total'] = total;

  // One walk for all gradients, so that what student and teacher share is differentiated once.
  const models = t ? [s, t] : [s];
  const probes = inspect ? [...models.map((m) => m.logits), s.images] : [];
  const found = gradients(total, [...models.flatMap((m) => m.parameters), ...probes]);
  outputs['student.gradient'] = packGradients(found.splice(0, s.parameters.length));
  if (t) outputs['teacher.gradient'] = packGradients(found.splice(0, t.parameters.length));
  if (inspect) {
    outputs['student.logits.gradient'] = found.shift()!;
    if (t) outputs['teacher.logits.gradient'] = found.shift()!;
    outputs['student.images.gradient'] = found.shift()!;
  }
  return { program: compile(outputs, models, disable), student: s.layout, teacher: t?.layout ?? null };
}

export interface ForwardOptions {
  readonly model: ModelSpec;
  readonly batch: number;
  /** Names of rewriting passes (graph/passes) to leave out. */
  readonly disable?: readonly string[];
}

/** Compiles a model's forward pass: inputs `images` and `parameters`, output `logits` [batch, K]. */
export function buildForward({ model, batch, disable = [] }: ForwardOptions): {
  program: Program;
  layout: TrainableLayout;
} {
  const traced = traceModel({ ...model, dropPath: 0 }, '', batch, disable);
  return { program: compile({ logits: traced.logits }, [traced], disable), layout: traced.layout };
}

interface TracedModel {
  readonly images: Tensor;
  readonly logits: Tensor;
  readonly parametersInput: string;
  readonly parameters: readonly Tensor[];
  readonly layout: TrainableLayout;
}

/** Traces backbone, method and head; names of its inputs start with `prefix`. */
function traceModel(model: ModelSpec, prefix: string, batch: number, disable: readonly string[]): TracedModel {
  const { config, weights } = model.backbone;
  const named = (name: string) => (prefix ? `${prefix}.${name}` : name);
  const images = input(named('images'), [batch, config.channels, config.imageSize, config.imageSize]);
  const dropPath = model.dropPath > 0 ? input(named('dropPath'), [config.depth, 2, batch]) : null;

  const trainables = new TrainableScope();
  const method = methodByName(model.method);
  const hooks = method.hooks(trainables, config, method.options.parse(model.methodOptions));
  const weight = (name: string, shape: readonly number[]) =>
    method.trains(name)
      ? trainables.tensor(name, shape, () => weights.values(name, shape))
      : weights.constant(name, shape);
  const features = traceViT(config, weight, hooks, { images, dropPath });
  const kernel = trainables.tensor('head.weight', [model.classes, config.width], truncatedNormal(0.02));
  const whole = linear(features, kernel, trainables.tensor('head.bias', [model.classes], zeroInit));
  const logits = applyPasses(FORWARD_PASSES, [whole], disable)[0]!;
  return {
    images,
    logits,
    parametersInput: named('parameters'),
    parameters: trainables.tensors,
    layout: trainables.layout(),
  };
}

/** Collects a model's trainable tensors in the order in which the forward pass asks for them. */
class TrainableScope implements Scope {
  private readonly known = new Map<string, { tensor: Tensor; init: Initialiser }>();

  tensor(name: string, shape: readonly number[], init: Initialiser): Tensor {
    const earlier = this.known.get(name);
    if (earlier) return earlier.tensor;
    const tensor = parameter(name, shape);
    this.known.set(name, { tensor, init });
    return tensor;
  }

  get tensors(): Tensor[] {
    return [...this.known.values()].map(({ tensor }) => tensor);
  }

  layout(): TrainableLayout {
    const slots = layout(this.tensors.map((t) => ({ name: parameterName(t), shape: t.shape })));
    const size = slots.reduce((sum, slot) => sum + slot.size, 0);
    const initial = (seed: number, role: string) => {
      const values = new Float32Array(size);
      for (const slot of slots) {
        const random = randomStream(seed, 'init', role, slot.name);
        values.set(this.known.get(slot.name)!.init(slot.size, random), slot.offset);
      }
      return values;
    };
    return { slots, size, initial };
  }
}

/** Packs parameters, tidies the graph and emits it. */
function compile(outputs: Record<string, Tensor>, models: readonly TracedModel[], disable: readonly string[]): Program {
  const groups = models.map((m) => ({ inputName: m.parametersInput, parameters: m.parameters }));
  const graph = unpackParameters(outputs, groups);
  const final = applyPasses(FINAL_PASSES, Object.values(graph), disable);
  return emit(Object.fromEntries(Object.keys(graph).map((name, i) => [name, final[i]!])));
}
