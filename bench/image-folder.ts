/** A small folder of photographs to train on, made of noise: what is in them changes no time. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { randomStream } from '../src/random.js';

/** Larger than the models' input, so that reading them decodes and resizes. */
const SIDE = 256;
const CLASS_NAMES = ['first', 'second'];

/** Writes `count` images to train on in all, two of which go to val, and two to test on. */
export async function makeImageFolder(folder: string, count: number): Promise<void> {
  const perClass = { train: (count - 2) / 2, val: 1, test: 1 };
  const random = randomStream(1, 'images');
  const noise = Buffer.from(Uint8Array.from({ length: 3 * SIDE * SIDE }, () => random.below(256)));
  for (const [split, images] of Object.entries(perClass)) {
    for (const name of CLASS_NAMES) {
      const place = join(folder, split, name);
      await mkdir(place, { recursive: true });
      for (let i = 0; i < images; i++) {
        noise.writeUInt32LE(random.below(2 ** 32), 0); // no two equal files
        const jpeg = await sharp(noise, { raw: { width: SIDE, height: SIDE, channels: 3 } })
          .jpeg()
          .toBuffer();
        await writeFile(join(place, `${i}.jpg`), jpeg);
      }
    }
  }
}
