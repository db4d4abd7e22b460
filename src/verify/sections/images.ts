/** From a file's bytes to the numbers a model sees: decoding, Pillow's resize, normalisation. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeImage, normaliseInto, resizeBicubic, toPlanar } from '../../data/index.js';
import type { Ledger } from '../ledger.js';
import { preprocessFile, type Reference } from '../reference.js';

export async function verifyImages(reference: Reference, ledger: Ledger): Promise<void> {
  if (!(await reference.has('preprocess.json'))) return ledger.notCovered('images', 'not in this reference');
  const { transform, images } = await reference.json('preprocess.json', preprocessFile);
  const [, height, width] = transform.input_size as [number, number, number];
  const file = await reference.tensors('preprocess.safetensors');
  for (const name of Object.keys(images)) {
    const bytes = await readFile(join(reference.directory, 'images', name));
    let image = await decodeImage(bytes, { orient: false, name });
    const stored = file.file.tensors.get(`${name}/decoded`);
    if (stored) {
      const pixels = (await file.read(`${name}/decoded`)).data as Uint8Array;
      ledger.compare('images: decoded, levels of 255', name, 'a pixel', image.pixels, pixels);
      // the resize is judged from the same decoded pixels
      image = { height: stored.shape[0]!, width: stored.shape[1]!, pixels };
    }
    const planar = toPlanar(resizeBicubic(image, width, height));
    const resized = (await file.read(`${name}/resized`)).data as Uint8Array;
    ledger.compare('images: resized, levels of 255', name, 'a pixel', planar, resized);
    const normalised = new Float32Array(planar.length);
    normaliseInto(planar, transform.mean, transform.std, normalised, 0);
    ledger.compare('images: normalised', name, 'a pixel', normalised, await file.readFloat32(`${name}/normalised`));
  }
  await file.close();
}
