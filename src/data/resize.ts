/**
 * Pillow's bicubic resize, bit for bit: what the published recipes resized their images with, and what no other library
 * rounds in the same way. Imports nothing, so the page uses the same file as Node.
 *
 * @see Keys 1981, doi:10.1109/TASSP.1981.1163711 (the kernel); Pillow's src/libImaging/Resample.c (the arithmetic)
 */

/** An image in memory: `pixels` is [height, width, 3], bytes, red green blue. */
export interface RgbImage {
  width: number;
  height: number;
  pixels: Uint8Array;
}

/** Weights are integers of 22 fractional bits: 8 bits of a pixel and 2 of headroom make up the int32 of the sum. */
const FRACTION_BITS = 22;
const HALF = 1 << (FRACTION_BITS - 1);

/**
 * The image at another size; the aspect ratio is not kept. When shrinking, the kernel widens with the scale, so that
 * every source pixel counts (antialiasing).
 *
 * @returns bytes [height, width, 3]; always a new array
 * @throws RangeError when a size is not a positive integer, or the pixels do not fill the image
 */
export function resizeBicubic(image: RgbImage, width: number, height: number): Uint8Array {
  for (const size of [image.width, image.height, width, height]) {
    if (!Number.isInteger(size) || size < 1) {
      throw new RangeError(`resizeBicubic: expected positive integer sizes, got ${size}`);
    }
  }
  if (image.pixels.length !== image.width * image.height * 3) {
    throw new RangeError(
      `resizeBicubic: ${image.width}×${image.height} RGB needs ${image.width * image.height * 3} bytes, got ${image.pixels.length}`,
    );
  }
  // Rounded to bytes between the two passes, and a pass that would change no size is left out: both as Pillow does.
  const wide = image.width === width ? image.pixels : resizeRows(image, tapsFor(image.width, width));
  const tall = image.height === height ? wide : resizeColumns(wide, width, tapsFor(image.height, height));
  return tall === image.pixels ? tall.slice() : tall;
}

/** For one axis: output i is the sum over t < counts[i] of weights[i·stride + t] · input[starts[i] + t]. */
interface Taps {
  starts: Int32Array;
  counts: Int32Array;
  weights: Int32Array;
  stride: number;
}

/**
 * scale = in/out, f = max(scale, 1), centre c = (i + ½)·scale; weight of input j = kernel((j − c + ½)/f), normalised to
 * sum 1. Written with the parentheses of Resample.c: another order of the same operations rounds differently.
 */
function tapsFor(from: number, to: number): Taps {
  const scale = from / to;
  const widening = Math.max(scale, 1);
  const support = 2 * widening;
  const stride = Math.ceil(support) * 2 + 1;
  const taps = {
    starts: new Int32Array(to),
    counts: new Int32Array(to),
    weights: new Int32Array(to * stride),
    stride,
  };
  const row = new Float64Array(stride);
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * scale;
    const start = Math.max(Math.trunc(centre - support + 0.5), 0);
    const count = Math.min(Math.trunc(centre + support + 0.5), from) - start;
    let sum = 0;
    for (let t = 0; t < count; t++) {
      row[t] = bicubicKernel((t + start - centre + 0.5) * (1 / widening));
      sum += row[t]!;
    }
    for (let t = 0; t < count; t++) taps.weights[i * stride + t] = toFixedPoint(sum === 0 ? row[t]! : row[t]! / sum);
    taps.starts[i] = start;
    taps.counts[i] = count;
  }
  return taps;
}

/** Keys' cubic convolution with a = −½, which is 0 beyond two pixels. */
function bicubicKernel(t: number): number {
  const a = -0.5;
  const x = Math.abs(t);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

/** Rounds half away from zero, by truncation as a C cast does; `Math.round` would send −½ up. */
function toFixedPoint(weight: number): number {
  return Math.trunc((weight < 0 ? -0.5 : 0.5) + weight * (1 << FRACTION_BITS));
}

// The sums stay within int32: |weights| add up to less than 1.3 · 2²², a pixel is below 2⁸.

function resizeRows(image: RgbImage, { starts, counts, weights, stride }: Taps): Uint8Array {
  const { width: from, height, pixels } = image;
  const to = starts.length;
  const result = new Uint8Array(height * to * 3);
  for (let y = 0, out = 0; y < height; y++) {
    for (let x = 0; x < to; x++, out += 3) {
      const end = x * stride + counts[x]!;
      let at = (y * from + starts[x]!) * 3;
      let red = HALF;
      let green = HALF;
      let blue = HALF;
      for (let w = x * stride; w < end; w++, at += 3) {
        const weight = weights[w]!;
        red = (red + Math.imul(pixels[at]!, weight)) | 0;
        green = (green + Math.imul(pixels[at + 1]!, weight)) | 0;
        blue = (blue + Math.imul(pixels[at + 2]!, weight)) | 0;
      }
      result[out] = toByte(red);
      result[out + 1] = toByte(green);
      result[out + 2] = toByte(blue);
    }
  }
  return result;
}

/** Adds whole rows into a row of sums, which walks memory in order; a sum down each column would jump a row a tap. */
function resizeColumns(pixels: Uint8Array, width: number, { starts, counts, weights, stride }: Taps): Uint8Array {
  const to = starts.length;
  const rowBytes = width * 3;
  const result = new Uint8Array(to * rowBytes);
  const sums = new Int32Array(rowBytes);
  for (let y = 0; y < to; y++) {
    sums.fill(HALF);
    for (let t = 0; t < counts[y]!; t++) {
      const weight = weights[y * stride + t]!;
      const row = (starts[y]! + t) * rowBytes;
      for (let i = 0; i < rowBytes; i++) sums[i] = sums[i]! + Math.imul(pixels[row + i]!, weight);
    }
    const out = y * rowBytes;
    for (let i = 0; i < rowBytes; i++) result[out + i] = toByte(sums[i]!);
  }
  return result;
}

function toByte(sum: number): number {
  const value = sum >> FRACTION_BITS;
  return value < 0 ? 0 : Math.min(value, 255);
}
