/** What ties student and teacher, D of Equations 4 and 5: which of their tensors a loss compares, and where its gradient flows. */
import { blocks, hasClassToken } from '../backbones/architecture.js';
import type { BlockSizes } from '../backbones/backbone.js';
import { layerPairs, lossByName } from '../distill/index.js';
import { IdatError } from '../errors.js';
import { add, scale, slice, stopGradient } from '../graph/ops/index.js';
import type { Tensor } from '../graph/tensor.js';
import type { ModelSpec, TracedModel } from './model.js';

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

/** The blocks a loss on features compares; none for a loss on logits. */
export function tapsOf(student: ModelSpec, teacher: ModelSpec | null, distillation: Distillation | null) {
  if (!teacher || !distillation || lossByName(distillation.loss).reads === 'logits')
    return { student: [], teacher: [] };
  const [own, theirs] = [student, teacher].map(({ backbone }) => blocks(backbone.config)) as [
    BlockSizes[],
    BlockSizes[],
  ];
  const { featureLayers, featureTokens } = distillation;
  const without = [student, teacher].find(({ backbone }) => !hasClassToken(backbone.config));
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
export function distillationLoss(student: TracedModel, teacher: TracedModel, options: Distillation): Tensor {
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
