/**
 * Micro-batches: a batch in pieces that the runtime works through one after the other, and the sums over them.
 */

/** Numbers in the streams of tokens (images × tokens × width) of the largest call that pays: two images of ViT-B/16; more take memory and no less time. */
const LARGEST_CALL = 2 * 197 * 768;

/**
 * The largest power of two of images, no more than the batch, whose tokens keep a call small; at least 1.
 * @param stream numbers in one image's stream of tokens
 */
export function autoMicroBatch(batchSize: number, stream: number): number {
  const largest = Math.min(batchSize, LARGEST_CALL / stream);
  return largest < 1 ? 1 : 2 ** Math.floor(Math.log2(largest));
}

/** A piece of a batch: which images, as positions in the batch, and each one's weight in the mean. */
export interface Piece {
  positions: number[];
  weights: Float32Array;
}

/** The batch in pieces of `size` images; the last one is filled up with its last image at weight 0. */
export function pieces(batchSize: number, size: number): Piece[] {
  return Array.from({ length: Math.ceil(batchSize / size) }, (_, piece) => ({
    positions: Array.from({ length: size }, (_, i) => Math.min(piece * size + i, batchSize - 1)),
    weights: Float32Array.from({ length: size }, (_, i) => (piece * size + i < batchSize ? 1 / batchSize : 0)),
  }));
}

export function addInto(sum: Float32Array, term: Float32Array): void {
  for (let i = 0; i < sum.length; i++) sum[i]! += term[i]!;
}

/** How many rows of two models' logits [images, classes] have their largest number at the same class; images of weight 0 are skipped. */
export function countAgreed(a: Float32Array, b: Float32Array, weights: Float32Array): number {
  const classes = a.length / weights.length;
  return weights.reduce((agreed, weight, image) => {
    const [x, y] = [a, b].map((logits) => largestAt(logits, image, classes));
    return agreed + Number(weight !== 0 && x === y);
  }, 0);
}

/** How many rows of the logits [images, classes] have their largest number at the label; images of weight 0 are skipped. */
export function countCorrect(logits: Float32Array, labels: ArrayLike<number | bigint>, weights?: Float32Array): number {
  const classes = logits.length / labels.length;
  let correct = 0;
  for (let image = 0; image < labels.length; image++) {
    if (weights?.[image] === 0) continue;
    if (largestAt(logits, image, classes) === Number(labels[image])) correct++;
  }
  return correct;
}

/** Which number of a row of logits [images, classes] is the largest; of equals the first. */
export function largestAt(logits: Float32Array, image: number, classes: number): number {
  let best = 0;
  for (let k = 1; k < classes; k++) {
    if (logits[image * classes + k]! > logits[image * classes + best]!) best = k;
  }
  return best;
}
