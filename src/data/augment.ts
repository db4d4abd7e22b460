/**
 * Random changes of training images, drawn anew for each image in each epoch: flips, crops and TrivialAugment.
 */
import { type ImageSize, sidesOf } from '../image-size.js';
import { type RandomStream, randomStream } from '../random.js';
import { trivialAugment } from './trivial-augment.js';

/** How training images are changed at random; a data set is not augmented where all are false or 0. */
export interface Augmentation {
  /** Left to right, for half of the images. */
  readonly flip: boolean;
  /** Pixels by which an image may be moved in each direction, below 1 a share of its side; what comes in from outside is grey. */
  readonly cropPadding: number;
  /** One of fourteen changes of colour or shape. */
  readonly trivialAugment: boolean;
  /** How the teacher sees what the student sees. Default: as it does. */
  readonly teacherView?: TeacherView;
}

/** As the student sees it, or mirrored, whatever was done to it before. */
export const TEACHER_VIEWS = ['same', 'flip'] as const;
export type TeacherView = (typeof TEACHER_VIEWS)[number];

/** Which pass over which images. */
export interface AugmentationPass {
  readonly seed: number;
  readonly phase: string;
  readonly epoch: number;
}

/** How images are changed; `copy` says how often the image has come in this epoch before, default 0. */
export interface ImageChange {
  /** The image, bytes [C, height, width], in its new look: a new array, or the same one where nothing changes. */
  look(planar: Uint8Array, index: number, copy?: number): Uint8Array;
  /** Whether an image is mirrored, where that is all that may happen to it; null where more may. */
  readonly mirrors: ((index: number, copy?: number) => boolean) | null;
}

export const augments = ({ flip, cropPadding, trivialAugment }: Augmentation): boolean =>
  flip || cropPadding > 0 || trivialAugment;

/** Whether each image has two looks at most, as it is and mirrored, so that what follows from them can be kept. */
export const onlyMirrors = ({ cropPadding, trivialAugment }: Augmentation): boolean =>
  cropPadding === 0 && !trivialAugment;

/** Which of the two a model is shown. */
export type Looks = 'plain' | 'mirrored' | 'both';

/** Those there are where images are mirrored at most. @param teacher whether the teacher's are meant */
export function looksOf({ flip, teacherView = 'same' }: Augmentation, teacher: boolean): Looks {
  if (flip) return 'both';
  return teacher && teacherView === 'flip' ? 'mirrored' : 'plain';
}

/** An image, bytes [C, height, width], left to right. */
export function mirrored(planar: Uint8Array, size: ImageSize): Uint8Array {
  const sides = sidesOf(size);
  const channels = planar.length / (sides[0] * sides[1]);
  return moved(planar, sides, new Array<number>(channels).fill(0), [0, 0], true);
}

/**
 * The changes of an epoch; null where there are none. What an image looks like follows from its index, from how
 * often it has come in this epoch, and from nothing else that happened before.
 *
 * @param fill byte of each channel that stands for what lies outside the image
 * @param size of the images; default: squares
 * @param teacher whether they are the teacher's, which may see them otherwise
 * @see He et al. 2016, arXiv:1512.03385, section 4.2: four pixels padded on each side, a random crop, a random flip
 */
export function imageChange(
  augmentation: Augmentation,
  fill: readonly number[],
  { seed, phase, epoch }: AugmentationPass,
  size?: ImageSize,
  teacher = false,
): ImageChange | null {
  const turned = teacher && augmentation.teacherView === 'flip';
  if (!augments(augmentation) && !turned) return null;
  const { flip, cropPadding: padding, trivialAugment: trivial } = augmentation;
  const streamOf = (index: number, copy: number) =>
    randomStream(seed, 'augment', phase, epoch, index, ...(copy > 0 ? [copy] : []));
  const flips = (random: RandomStream) => flip && random.below(2) === 1;
  return {
    look(planar, index, copy = 0) {
      const sides = sidesOf(size ?? Math.sqrt(planar.length / fill.length));
      const random = streamOf(index, copy);
      const flipped = flips(random);
      const [down, right] = sides.map((side) => movedBy(random, padding < 1 ? Math.round(padding * side) : padding));
      const view = moved(planar, sides, fill, [down!, right!], flipped);
      const seen = trivial ? trivialAugment(view, fill, random, sides) : view;
      return turned ? mirrored(seen, sides) : seen;
    },
    mirrors: onlyMirrors(augmentation) ? (index, copy = 0) => flips(streamOf(index, copy)) !== turned : null,
  };
}

const movedBy = (random: RandomStream, most: number): number => (most > 0 ? random.below(2 * most + 1) - most : 0);

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
