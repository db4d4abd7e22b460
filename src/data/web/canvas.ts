/** Whether pages may rely on what they read of a canvas. */

const SIDE = 64;
let found: boolean | undefined;

/**
 * Whether a canvas gives back what was put on it. Browsers that keep pages from recognising a visitor by the device (Firefox with
 * `privacy.resistFingerprinting`, Tor Browser, Brave) give some pixels others, or noise in place of all.
 */
export function canvasIsTrue(): boolean {
  found ??= tried();
  return found;
}

function tried(): boolean {
  // of many colours: what is plain is left as it is by some
  const put = Uint8ClampedArray.from({ length: 4 * SIDE ** 2 }, (_, i) =>
    i % 4 === 3 ? 255 : (i * 37 + (i >> 5)) % 256,
  );
  const context = new OffscreenCanvas(SIDE, SIDE).getContext('2d', { willReadFrequently: true });
  if (!context) return true; // of a browser without canvases something else is told
  context.putImageData(new ImageData(put, SIDE, SIDE), 0, 0);
  const { data } = context.getImageData(0, 0, SIDE, SIDE);
  return put.every((byte, i) => byte === data[i]);
}
