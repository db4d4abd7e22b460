/**
 * Random changes of training images, drawn anew for each image in each epoch: flips, crops and TrivialAugment.
 */
import { type ImageSize, sidesOf } from '../image-size.js';
import { randomStream } from '../random.js';
import { trivialAugment } from './trivial-augment.js';

/** How training images are changed at random; a data set is not augmented where all are false or 0. */
export interface Augmentation {
  /** Left to right, for half of the images. */
  readonly flip: boolean;
  /** Pixels by which an image may be moved in each direction; what comes in from outside is grey. */
  readonly cropPadding: number;
  /** One of fourteen changes of colour or shape. */
  readonly trivialAugment: boolean;
}

/** Which pass over which images. */
export interface AugmentationPass {
  readonly seed: number;
  readonly phase: string;
  readonly epoch: number;
}

/**
 * Gives an image, bytes [C, height, width], another look: a new array, or the same one where nothing changes.
 * @param copy how often the image has come in this epoch before; default 0
 */
export type ImageChange = (planar: Uint8Array, index: number, copy?: number) => Uint8Array;

export const augments = ({ flip, cropPadding, trivialAugment }: Augmentation): boolean =>
  flip || cropPadding > 0 || trivialAugment;

/**
 * The changes of an epoch; null where there are none. What an image looks like follows from its index, from how
 * often it has come in this epoch, and from nothing else that happened before.
 *
 * @param fill byte of each channel that stands for what lies outside the image
 * @param size of the images; default: squares
 * @see He et al. 2016, arXiv:1512.03385, section 4.2: four pixels padded on each side, a random crop, a random flip
 */
export function imageChange(
  augmentation: Augmentation,
  fill: readonly number[],
  { seed, phase, epoch }: AugmentationPass,
  size?: ImageSize,
): ImageChange | null {
  if (!augments(augmentation)) return null;
  const { flip, cropPadding: padding, trivialAugment: trivial } = augmentation;
  return (planar, index, copy = 0) => {
    const sides = sidesOf(size ?? Math.sqrt(planar.length / fill.length));
    const random = randomStream(seed, 'augment', phase, epoch, index, ...(copy > 0 ? [copy] : []));
    const flipped = flip && random.below(2) === 1;
    const [down, right] = padding > 0 ? [0, 1].map(() => random.below(2 * padding + 1) - padding) : [0, 0];
    const view = moved(planar, sides, fill, [down!, right!], flipped);
    return trivial ? trivialAugment(view, fill, random, sides) : view;
  };
}

/** The window of an image, mirrored if wished, that begins `down` and `right` of its corner. */
function moved(
  planar: Uint8Array,
  [height, width]: readonly [number, number],
  fill: readonly number[],
  [down, right]: readonly [number, number],
  flipped: boolean,
): Uint8Array {
  const plane = height * width;
  const out = new Uint8Array(planar.length);
  for (let c = 0; c < fill.length; c++) {
    out.fill(fill[c]!, c * plane, (c + 1) * plane);
    for (let y = Math.max(0, -down); y < Math.min(height, height - down); y++) {
      const from = c * plane + (y + down) * width;
      const to = c * plane + y * width;
      for (let x = Math.max(0, -right); x < Math.min(width, width - right); x++) {
        const seen = x + right;
        out[to + x] = planar[from + (flipped ? width - 1 - seen : seen)]!;
      }
    }
  }
  return out;
}
