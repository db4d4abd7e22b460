/** From what a head gives to what is told of an image. */
import { type Familiarities, familiarity, thresholdFor } from '../statistics/energy.js';

/** A class and how probable it is. */
export interface ClassProbability {
  readonly label: string;
  readonly probability: number;
}

/** What is on an image. */
export interface ImagePrediction {
  /** Most probable first; empty where there is no answer. */
  readonly predictions: ClassProbability[];
  /**
   * Whether it is likely to be none of the classes: less familiar than nearly all of the validation images were. Null where
   * that cannot be told, as the run is of a version that did not measure it, or the image has no answer.
   */
  readonly none: boolean | null;
  /** log Σ exp(logit): the less, the stranger the image. Null where there is no answer. */
  readonly familiarity: number | null;
  /** Why there is no answer. */
  readonly error?: string;
}

/** Share of the validation images that are not taken for none of the classes, where nobody says otherwise. */
export const KEPT = 0.95;

/**
 * @param top how many classes to name
 * @param threshold of familiarity; null where there is none
 */
export function answerOf(
  logits: Float32Array,
  classes: readonly string[],
  { top, threshold }: { readonly top: number; readonly threshold: number | null },
): ImagePrediction {
  const familiar = familiarity(logits);
  return {
    predictions: mostProbable(logits, familiar, classes, top),
    none: threshold === null ? null : familiar < threshold,
    familiarity: familiar,
  };
}

export const noAnswer = (error: string): ImagePrediction => ({ predictions: [], none: null, familiarity: null, error });

/** Null where no images tell it. @param keep as `Classifier.threshold` */
export const thresholdOf = (familiarities: Familiarities | null, keep: number): number | null =>
  familiarities && thresholdFor(familiarities, keep);

/** Softmax, and the most probable first; of equal ones the first. */
function mostProbable(
  logits: Float32Array,
  logOfSum: number,
  classes: readonly string[],
  top: number,
): ClassProbability[] {
  return classes
    .map((label, i) => ({ label, probability: Math.exp(logits[i]! - logOfSum) }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, top);
}
