/** A program of its own, run in a Worker: reads pictures, and runs an exported model. */
import { MAX_IMAGE_BYTES } from '../../data/file-tree.js';
import { toRgb } from '../../data/pixel-image.js';
import { preprocess } from '../../data/preprocess.js';
import type { RgbImage } from '../../data/resize.js';
import { decodeImage, rgbOfBitmap } from '../../data/web/decode.js';
import { IdatError } from '../../errors.js';
import { openEngine } from '../../runtime/web/engine.js';
import { answerWith } from '../../runtime/web/engine-answer.js';
import { serveRequests } from '../../runtime/web/serve.js';
import type { ClassifierRequest } from './protocol.js';

const engine = openEngine(new URL('./ort-wasm-simd-threaded.wasm', import.meta.url).href);
/** The runtime takes one call after the other. */
let last: Promise<unknown> = Promise.resolve();

serveRequests<ClassifierRequest>(async (request) => {
  if (request.kind === 'image') {
    const bytes = preprocess(await rgbOf(request), request.size);
    return { value: bytes, transfer: [bytes.buffer as ArrayBuffer] };
  }
  const answer = last.then(() => answerWith(engine, request));
  last = answer.catch(() => {});
  return answer;
});

async function rgbOf({ image, orient, name }: ClassifierRequest & { kind: 'image' }): Promise<RgbImage> {
  if (image instanceof Uint8Array) return decodeImage(image, { orient, name });
  if (image instanceof ImageBitmap) return rgbOfBitmap(image, name, 'paint a background first');
  if (!(image instanceof Blob)) return toRgb(image, name);
  if (image.size > MAX_IMAGE_BYTES) {
    const what = `${image.size.toLocaleString('en')} bytes are more than idat reads of one image`;
    throw new IdatError('image.too-large', `${name}: ${what}; make it smaller`);
  }
  const bytes = await image.arrayBuffer().catch((error: Error) => {
    const what = 'cannot be read; it may have been changed or moved since it was chosen';
    throw new IdatError('image.file', `${name}: ${what}`, { cause: error });
  });
  return decodeImage(new Uint8Array(bytes), { orient, name });
}
