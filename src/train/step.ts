/**
 * The compiled step: student, teacher, their losses and every gradient as one program.
 */
import type { Backbone } from '../backbones/backbone.js';
import type { Program } from '../graph/emit.js';
import type { Slot } from '../graph/pack.js';

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
  /** Also output what only `idat verify` needs: `student.logits.gradient`, `teacher.logits.gradient` (d total / d logits) and `student.images.gradient`. */
  readonly inspect?: boolean;
}
