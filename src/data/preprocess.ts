/**
 * From a decoded image to what the network reads: resized to one size whatever its shape, planar, normalised.
 * Imports nothing of Node, so the page uses the same file.
 *
 * @see the published recipes' transform: Resize((size, size), bicubic), ToTensor, Normalize
 */
import { type ImageSize, sidesOf } from '../image-size.js';
import { type RgbImage, resizeBicubic } from './resize.js';

/**
 * The image as the network's input before normalisation.
 * @returns bytes [3, height, width]
 */
export function preprocess(image: RgbImage, size: ImageSize): Uint8Array {
  const [height, width] = sidesOf(size);
  return toPlanar(resizeBicubic(image, width, height));
}

/** Interleaved bytes [pixels, 3] to planar bytes [3, pixels]. */
export function toPlanar(interleaved: Uint8Array): Uint8Array {
  const count = interleaved.length / 3;
  const planar = new Uint8Array(interleaved.length);
  for (let i = 0, at = 0; i < count; i++, at += 3) {
    planar[i] = interleaved[at]!;
    planar[count + i] = interleaved[at + 1]!;
    planar[2 * count + i] = interleaved[at + 2]!;
  }
  return planar;
}

/**
 * Writes (byte/255 − mean)/std, evaluated in float64 and rounded once to float32, to `out` from `offset` on.
 *
 * @param planar one image, bytes [C, …]; C is the length of `mean` and `std`
 * @throws RangeError when mean, std and the image disagree, a std is not positive, or `out` is too short
 */
export function normaliseInto(
  planar: Uint8Array,
  mean: readonly number[],
  std: readonly number[],
  out: Float32Array,
  offset: number,
): void {
  const channels = mean.length;
  if (std.length !== channels || channels === 0 || planar.length % channels !== 0 || !std.every((s) => s > 0)) {
    throw new RangeError(
      `normaliseInto: expected a mean and a positive std for each channel of ${planar.length} bytes, got mean [${mean}], std [${std}]`,
    );
  }
  if (offset < 0 || offset + planar.length > out.length) {
    throw new RangeError(`normaliseInto: ${planar.length} values from ${offset} on do not fit into ${out.length}`);
  }
  const plane = planar.length / channels;
  const table = new Float32Array(256);
  for (let c = 0; c < channels; c++) {
    for (let byte = 0; byte < 256; byte++) table[byte] = (byte / 255 - mean[c]!) / std[c]!;
    for (let i = c * plane; i < (c + 1) * plane; i++) out[offset + i] = table[planar[i]!]!;
  }
}
