/**
 * TrivialAugment: each image gets one change, taken at random from fourteen, of a random strength.
 *
 * Follows Müller and Hutter 2021, arXiv:2103.10158, in RandAugment's space of changes and strengths (their table 1), each
 * change meaning what Pillow's function of that name does. Turned and sheared images are interpolated bilinearly.
 */
import type { RandomStream } from '../random.js';

/** An image, bytes [C, height, width], and the byte of each channel that stands for what lies outside of it. */
interface Planar {
  readonly bytes: Uint8Array;
  readonly height: number;
  readonly width: number;
  readonly fill: readonly number[];
}

/** @param strength between 0 and 1; below 0 where a change has two directions */
type Change = (image: Planar, strength: number) => Uint8Array;

/** Strengths are multiples of 1/30. */
const STRENGTHS = 31;
const MOST_DEGREES = 30;
const MOST_SHEAR = 0.3;
/** Ten pixels of CIFAR's 32. */
const MOST_TRANSLATION = 10 / 32;
/** How far brightness, colour, contrast and sharpness depart from 1. */
const MOST_ENHANCEMENT = 0.9;
const MOST_BITS_LOST = 4;
/** ITU-R 601-2, as Pillow makes an image grey. */
const LUMA = [0.299, 0.587, 0.114];

const both = (change: Change) => ({ change, signed: true });
const one = (change: Change) => ({ change, signed: false });

/** The changes by name. All but identity, autocontrast and equalize have a strength. */
export const TRIVIAL_CHANGES: Readonly<Record<string, { readonly change: Change; readonly signed: boolean }>> = {
  identity: one(({ bytes }) => bytes),
  autocontrast: one((image) => byChannel(image, stretched)),
  equalize: one((image) => byChannel(image, equalized)),
  rotate: both((image, strength) => {
    const angle = (strength * MOST_DEGREES * Math.PI) / 180;
    return warped(image, [Math.cos(angle), Math.sin(angle), -Math.sin(angle), Math.cos(angle)]);
  }),
  shearX: both((image, strength) => warped(image, [1, strength * MOST_SHEAR, 0, 1])),
  shearY: both((image, strength) => warped(image, [1, 0, strength * MOST_SHEAR, 1])),
  translateX: both((image, strength) => warped(image, [1, 0, 0, 1], translation(image.width, strength), 0)),
  translateY: both((image, strength) => warped(image, [1, 0, 0, 1], 0, translation(image.height, strength))),
  brightness: both((image, strength) => blended(image, () => 0, strength)),
  color: both((image, strength) => {
    const grey = luma(image);
    return blended(image, (_, pixel) => grey[pixel]!, strength);
  }),
  contrast: both((image, strength) => {
    const grey = luma(image);
    const mean = Math.round(grey.reduce((sum, value) => sum + value, 0) / grey.length);
    return blended(image, () => mean, strength);
  }),
  sharpness: both((image, strength) => blended(image, smoothedAt(image), strength)),
  posterize: one(({ bytes }, strength) => {
    const kept = 0xff & (0xff << Math.round(strength * MOST_BITS_LOST));
    return bytes.map((byte) => byte & kept);
  }),
  solarize: one(({ bytes }, strength) => {
    const threshold = 256 * (1 - strength);
    return bytes.map((byte) => (byte < threshold ? byte : 255 - byte));
  }),
};

const CHANGES = Object.values(TRIVIAL_CHANGES);

/**
 * A change of an image, bytes [C, S, S] with C 1 or 3: a new array, or the same one where it stays as it is.
 *
 * @param fill byte of each channel that stands for what lies outside the image
 */
export function trivialAugment(
  bytes: Uint8Array,
  fill: readonly number[],
  random: RandomStream,
  [height, width]: readonly [height: number, width: number],
): Uint8Array {
  const { change, signed } = CHANGES[random.below(CHANGES.length)]!;
  const size = random.below(STRENGTHS) / (STRENGTHS - 1);
  const strength = signed && random.below(2) === 1 ? -size : size;
  return change({ bytes, height, width, fill }, strength);
}

const translation = (side: number, strength: number): number => Math.round(strength * MOST_TRANSLATION * side);

/** The image seen from the middle through a linear map: [x, y] shows what was at [[a, b], [c, d]] [x, y] + [right, down]. */
function warped(
  { bytes, height, width, fill }: Planar,
  [a, b, c, d]: readonly [number, number, number, number],
  right = 0,
  down = 0,
): Uint8Array {
  const out = new Uint8Array(bytes.length);
  const [middleX, middleY] = [(width - 1) / 2, (height - 1) / 2];
  const plane = height * width;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const fromX = middleX + a * (x - middleX) + b * (y - middleY) + right;
      const fromY = middleY + c * (x - middleX) + d * (y - middleY) + down;
      const left = Math.floor(fromX);
      const top = Math.floor(fromY);
      const shareX = fromX - left;
      const shareY = fromY - top;
      for (let channel = 0; channel < fill.length; channel++) {
        const at = (row: number, column: number) =>
          row < 0 || row >= height || column < 0 || column >= width
            ? fill[channel]!
            : bytes[channel * plane + row * width + column]!;
        const above = at(top, left) * (1 - shareX) + at(top, left + 1) * shareX;
        const below = at(top + 1, left) * (1 - shareX) + at(top + 1, left + 1) * shareX;
        out[channel * plane + y * width + x] = Math.round(above * (1 - shareY) + below * shareY);
      }
    }
  }
  return out;
}

/** Between an image that lacks something, at -1, and one that has twice as much of it, at 1; 0 is the image itself. */
function blended(
  { bytes, height, width, fill }: Planar,
  lacking: (channel: number, pixel: number) => number,
  strength: number,
): Uint8Array {
  const factor = 1 + strength * MOST_ENHANCEMENT;
  const plane = height * width;
  const out = new Uint8ClampedArray(bytes.length); // rounds as well
  for (let channel = 0; channel < fill.length; channel++) {
    for (let pixel = 0; pixel < plane; pixel++) {
      const without = lacking(channel, pixel);
      out[channel * plane + pixel] = without + factor * (bytes[channel * plane + pixel]! - without);
    }
  }
  return new Uint8Array(out.buffer);
}

function luma({ bytes, height, width, fill }: Planar): Uint8Array {
  const plane = height * width;
  if (fill.length === 1) return bytes;
  return Uint8Array.from({ length: plane }, (_, pixel) =>
    Math.round(LUMA.reduce((sum, share, channel) => sum + share * bytes[channel * plane + pixel]!, 0)),
  );
}

/** Each pixel with its eight neighbours, itself five times; pixels at the edge as they are. */
function smoothedAt({ bytes, height, width }: Planar): (channel: number, pixel: number) => number {
  const plane = height * width;
  return (channel, pixel) => {
    const at = channel * plane + pixel;
    const [x, y] = [pixel % width, Math.floor(pixel / width)];
    if (x === 0 || y === 0 || x === width - 1 || y === height - 1) return bytes[at]!;
    let sum = 4 * bytes[at]!;
    for (let row = -width; row <= width; row += width) {
      for (let column = -1; column <= 1; column++) sum += bytes[at + row + column]!;
    }
    return sum / 13;
  };
}

/** Each channel's bytes by a table that is made from how often each byte occurs in it. */
function byChannel(
  { bytes, height, width, fill }: Planar,
  table: (counts: Uint32Array) => Uint8ClampedArray,
): Uint8Array {
  const plane = height * width;
  const out = new Uint8Array(bytes.length);
  for (let channel = 0; channel < fill.length; channel++) {
    const [from, to] = [channel * plane, (channel + 1) * plane];
    const counts = new Uint32Array(256);
    for (let i = from; i < to; i++) counts[bytes[i]!]!++;
    const entries = table(counts);
    for (let i = from; i < to; i++) out[i] = entries[bytes[i]!]!;
  }
  return out;
}

/** The darkest byte becomes 0, the lightest 255; cut off in the order of Pillow's `ImageOps.autocontrast`, to its last bit. */
function stretched(counts: Uint32Array): Uint8ClampedArray {
  const darkest = counts.findIndex((count) => count > 0);
  const lightest = lightestOf(counts);
  if (lightest === darkest) return Uint8ClampedArray.from(counts, (_, byte) => byte);
  const scale = 255 / (lightest - darkest);
  return Uint8ClampedArray.from(counts, (_, byte) => Math.floor(byte * scale - darkest * scale));
}

/** All grey levels about equally often, as Pillow's `ImageOps.equalize` counts them. */
function equalized(counts: Uint32Array): Uint8ClampedArray {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const step = Math.floor((total - counts[lightestOf(counts)]!) / 255);
  if (step === 0) return Uint8ClampedArray.from(counts, (_, byte) => byte);
  let before = Math.floor(step / 2);
  return Uint8ClampedArray.from(counts, (count) => {
    const level = Math.floor(before / step);
    before += count;
    return level;
  });
}

function lightestOf(counts: Uint32Array): number {
  let byte = counts.length - 1;
  while (byte > 0 && counts[byte] === 0) byte--;
  return byte;
}
