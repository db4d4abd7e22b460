/** How well a model answers its test images: by class, in its probabilities, and where it fails worst. */
import {
  type Answers,
  argmax,
  balancedAccuracy,
  type Calibration,
  type ClassScore,
  calibration,
  classScores,
  confusionMatrix,
  logProbability,
  macroF1,
  probabilities,
  topAccuracy,
} from '../statistics/index.js';

export interface ConfusionReport {
  readonly classes: readonly string[];
  /** Images of each true class (row) that were taken for each class (column). */
  readonly confusion: readonly (readonly number[])[];
}

export interface ClassesReport {
  readonly images: number;
  readonly accuracy: number;
  readonly balancedAccuracy: number;
  readonly macroF1: number;
  /** Null where there are no more than five classes. */
  readonly top5: number | null;
  readonly classes: readonly (ClassScore & { readonly name: string })[];
}

export const confusionReport = (answers: Answers, classes: readonly string[]): ConfusionReport => ({
  classes,
  confusion: confusionMatrix(answers),
});

export function classesReport(answers: Answers, names: readonly string[]): ClassesReport {
  const scores = classScores(confusionMatrix(answers));
  return {
    images: answers.labels.length,
    accuracy: topAccuracy(answers, 1),
    balancedAccuracy: balancedAccuracy(scores),
    macroF1: macroF1(scores),
    top5: answers.classes > 5 ? topAccuracy(answers, 5) : null,
    classes: scores.map((score, k) => ({ name: names[k]!, ...score })),
  };
}

export type CalibrationReport = Calibration & { readonly images: number; readonly accuracy: number };

export const calibrationReport = (answers: Answers): CalibrationReport => ({
  images: answers.labels.length,
  accuracy: topAccuracy(answers, 1),
  ...calibration(answers),
});

/** An image and what became of it. */
export interface HardImage {
  readonly name: string;
  /** Its position in the test split. */
  readonly index: number;
  readonly label: string;
  readonly answer: string;
  /** Of the answer, and of the true class. */
  readonly confidence: number;
  readonly trueProbability: number;
  /** −log p of the true class. */
  readonly loss: number;
}

export interface HardestReport {
  readonly outOf: number;
  readonly wrong: number;
  /** Highest loss first. */
  readonly images: readonly HardImage[];
}

export function hardestReport(
  answers: Answers,
  names: readonly string[],
  classes: readonly string[],
  most: number,
): HardestReport {
  const { labels, classes: K } = answers;
  const p = probabilities(answers);
  const all = Array.from({ length: labels.length }, (_, i) => ({ i, loss: -logProbability(answers, i) }));
  const answerOf = (i: number) => argmax(answers.logits, i * K, K);
  const hardest = all.sort((a, b) => b.loss - a.loss || a.i - b.i).slice(0, most);
  return {
    outOf: labels.length,
    wrong: all.filter(({ i }) => answerOf(i) !== labels[i]).length,
    images: hardest.map(({ i, loss }) => ({
      name: names[i]!,
      index: i,
      label: classes[labels[i]!]!,
      answer: classes[answerOf(i)]!,
      confidence: p[i * K + answerOf(i)]!,
      trueProbability: p[i * K + labels[i]!]!,
      loss,
    })),
  };
}
