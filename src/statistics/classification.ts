/**
 * How well a classifier answers, beyond its accuracy.
 *
 * Letters: N images, K classes. Logits are [N, K] row-major.
 */

/** What a model answered to labelled images. */
export interface Answers {
  readonly classes: number;
  /** [N, K] */
  readonly logits: Float32Array;
  /** [N] */
  readonly labels: ArrayLike<number>;
}

/** The class of the largest of K logits; of equal ones the first. */
export function argmax(logits: ArrayLike<number>, from: number, classes: number): number {
  let best = 0;
  for (let k = 1; k < classes; k++) if (logits[from + k]! > logits[from + best]!) best = k;
  return best;
}

/** Softmax of each row in float64. [N, K] -> [N, K] */
export function probabilities({ logits, classes: K }: Pick<Answers, 'logits' | 'classes'>): Float64Array {
  const result = new Float64Array(logits.length);
  for (let row = 0; row < logits.length; row += K) {
    const largest = logits[row + argmax(logits, row, K)]!;
    let sum = 0;
    for (let k = 0; k < K; k++) sum += result[row + k] = Math.exp(logits[row + k]! - largest);
    for (let k = 0; k < K; k++) result[row + k]! /= sum;
  }
  return result;
}

/** Images of each true class (row) that were taken for each class (column). [K][K] */
export function confusionMatrix({ logits, labels, classes: K }: Answers): number[][] {
  const counts = Array.from({ length: K }, () => new Array<number>(K).fill(0));
  for (let i = 0; i < labels.length; i++) counts[labels[i]!]![argmax(logits, i * K, K)]!++;
  return counts;
}

/** One class; null where there is nothing to divide by. */
export interface ClassScore {
  /** Images of the class. */
  readonly support: number;
  /** Of the images taken for the class, the share that is of it. */
  readonly precision: number | null;
  /** Of the images of the class, the share that was taken for it. */
  readonly recall: number | null;
  /** 2·TP/(2·TP + FP + FN) */
  readonly f1: number | null;
}

export function classScores(confusion: readonly (readonly number[])[]): ClassScore[] {
  return confusion.map((row, k) => {
    const support = sum(row);
    const answered = sum(confusion.map((other) => other[k]!));
    const right = row[k]!;
    return {
      support,
      precision: share(right, answered),
      recall: share(right, support),
      f1: share(2 * right, support + answered),
    };
  });
}

/** The mean recall of the classes that have images. */
export function balancedAccuracy(scores: readonly ClassScore[]): number {
  const recalls = scores.flatMap(({ recall }) => recall ?? []);
  return sum(recalls) / recalls.length;
}

/** The mean F1 of the classes that have images or were answered. */
export function macroF1(scores: readonly ClassScore[]): number {
  const known = scores.flatMap(({ f1 }) => f1 ?? []);
  return sum(known) / known.length;
}

/** The share of images whose class is among the k most probable. Of equal logits the first class comes first. */
export function topAccuracy({ logits, labels, classes: K }: Answers, k: number): number {
  let hits = 0;
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i]!;
    const own = logits[i * K + label]!;
    let before = 0;
    for (let c = 0; c < K; c++) {
      const other = logits[i * K + c]!;
      if (other > own || (other === own && c < label)) before++;
    }
    if (before < k) hits++;
  }
  return hits / labels.length;
}

/** Images whose answer had about the same probability. */
export interface ReliabilityBin {
  /** Probabilities above `from`, up to and with `to`. */
  readonly from: number;
  readonly to: number;
  readonly count: number;
  /** Mean probability of the answers, and the share that was right; null where the bin is empty. */
  readonly confidence: number | null;
  readonly accuracy: number | null;
}

export interface Calibration {
  /** Σ (n_b/N)·|accuracy_b − confidence_b| */
  readonly ece: number;
  /** The largest difference of a bin. */
  readonly mce: number;
  /** Mean of Σ_k (p_k − y_k)², from 0 to 2. */
  readonly brier: number;
  /** Mean of −log p of the true class. */
  readonly negativeLogLikelihood: number;
  readonly bins: readonly ReliabilityBin[];
}

/** Bins of the expected calibration error. */
export const CALIBRATION_BINS = 15;

/**
 * Whether probabilities mean what they say: the expected calibration error over bins of equal width of the answer's
 * probability.
 * @see Guo et al. 2017, arXiv:1706.04599, section 2
 */
export function calibration(answers: Answers, bins = CALIBRATION_BINS): Calibration {
  const { labels, classes: K } = answers;
  const N = labels.length;
  const p = probabilities(answers);
  const sums = Array.from({ length: bins }, () => ({ count: 0, confidence: 0, right: 0 }));
  let [brier, surprise] = [0, 0];
  for (let i = 0; i < N; i++) {
    const answer = argmax(p, i * K, K);
    const confidence = p[i * K + answer]!;
    const bin = sums[Math.min(Math.max(Math.ceil(confidence * bins) - 1, 0), bins - 1)]!;
    bin.count++;
    bin.confidence += confidence;
    if (answer === labels[i]) bin.right++;
    for (let k = 0; k < K; k++) brier += (p[i * K + k]! - (k === labels[i] ? 1 : 0)) ** 2;
    surprise -= logProbability(answers, i);
  }
  const filled = sums.filter(({ count }) => count > 0);
  const gap = ({ count, confidence, right }: (typeof sums)[number]) => Math.abs(right - confidence) / count;
  return {
    ece: sum(filled.map((bin) => (bin.count / N) * gap(bin))),
    mce: Math.max(...filled.map(gap)),
    brier: brier / N,
    negativeLogLikelihood: surprise / N,
    bins: sums.map(({ count, confidence, right }, b) => ({
      from: b / bins,
      to: (b + 1) / bins,
      count,
      confidence: share(confidence, count),
      accuracy: share(right, count),
    })),
  };
}

/** log p of the true class of image i; finite also where p itself rounds to 0. */
export function logProbability({ logits, labels, classes: K }: Answers, i: number): number {
  const largest = logits[i * K + argmax(logits, i * K, K)]!;
  let total = 0;
  for (let k = 0; k < K; k++) total += Math.exp(logits[i * K + k]! - largest);
  return logits[i * K + labels[i]!]! - largest - Math.log(total);
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const share = (part: number, whole: number): number | null => (whole === 0 ? null : part / whole);
