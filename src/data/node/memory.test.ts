import { copyFile, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { ImageItem } from '../dataset.js';
import type { LabelledImage } from '../memory-dataset.js';
import type { PixelImage } from '../pixel-image.js';
import { folderWith } from '../testing/folder.js';
import { contentHash, type ImageSource, readImage, sourceProblem } from './image-source.js';
import { openMemoryData } from './memory.js';
import { type LoadOptions, loadPixels } from './pixels.js';

const SIZE = 8;
const WIDTH = 12;
const HEIGHT = 10;

/** An image in every form there is. */
async function forms(seed: number) {
  const rgb = Uint8Array.from({ length: WIDTH * HEIGHT * 3 }, (_, i) => (i * 7 + seed * 31) % 256);
  const rgba = new Uint8ClampedArray(WIDTH * HEIGHT * 4).map((_, i) =>
    i % 4 === 3 ? i % 256 : rgb[(i >> 2) * 3 + (i % 4)]!,
  );
  const png = await sharp(rgb, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } })
    .png()
    .toBuffer();
  const path = join(await folderWith({ 'a.png': png }), 'a.png');
  const size = { width: WIDTH, height: HEIGHT };
  return { path, buffer: png, bytes: Uint8Array.from(png), rgb: { ...size, data: rgb }, rgba: { ...size, data: rgba } };
}

const items = (train: LabelledImage<ImageSource>[]): ImageItem[] => {
  const rest = [{ image: train[0]!.image, label: 1 }];
  const data = { classes: ['a', 'b'], train: [...train, ...rest], val: rest, test: rest };
  return openMemoryData(data, { seed: 1 }).train.filter(({ label }) => label === 0);
};
const labelled = (...images: ImageSource[]) => images.map((image) => ({ image, label: 'a' }));

async function load(images: ImageItem[], options: Partial<LoadOptions> = {}) {
  const store = await loadPixels(images, { size: SIZE, orient: false, strict: true, cacheDir: null, ...options });
  onTestFinished(() => store.close());
  return store;
}

describe('images in memory', () => {
  test('are the same pixels as path, Buffer, bytes, RGB and RGBA', async () => {
    const { path, buffer, bytes, rgb, rgba } = await forms(1);
    const store = await load(items(labelled(path, buffer, bytes, rgb, rgba)));
    const all = await store.read([0, 1, 2, 3, 4]);
    const record = all.length / 5;
    expect(new Set(all).size).toBeGreaterThan(50);
    for (let i = 1; i < 5; i++) expect(all.slice(i * record, (i + 1) * record)).toEqual(all.slice(0, record));
    expect(store.names).toEqual([`train[0] (${path})`, 'train[1]', 'train[2]', 'train[3]', 'train[4]']);
  });

  test('are kept in the cache and found there', async () => {
    const { bytes, rgba } = await forms(1);
    const cacheDir = await folderWith({});
    const first = await load(items(labelled(bytes, rgba)), { cacheDir });
    const second = await load(items(labelled(bytes, rgba)), { cacheDir });
    expect([first.fromCache, second.fromCache]).toEqual([false, true]);
    expect(await second.read([1, 0])).toEqual(await first.read([1, 0]));
    const moved: PixelImage = { ...rgba, width: HEIGHT, height: WIDTH };
    expect((await load(items(labelled(bytes, moved)), { cacheDir })).fromCache).toBe(false);
  });

  test('have a fingerprint of content, order and labels, wherever files lie', async () => {
    const { path, bytes, rgb } = await forms(1);
    const of = async (train: LabelledImage<ImageSource>[]) => (await load(items(train))).fingerprint;
    const fingerprint = await of(labelled(path, bytes, rgb));
    const elsewhere = join(await folderWith({}), 'b.png');
    await copyFile(path, elsewhere);
    expect(await of(labelled(elsewhere, bytes, rgb))).toBe(fingerprint);
    const edited = { ...rgb, data: rgb.data.map((byte, i) => (i === 100 ? 255 - byte : byte)) };
    const others = [
      labelled(bytes, path, edited),
      labelled(path, rgb, bytes),
      labelled(path, bytes, { ...rgb, width: HEIGHT, height: WIDTH }),
    ];
    for (const other of others) expect(await of(other)).not.toBe(fingerprint);
    // the first two are the same file
    expect(await of(labelled(bytes, path, rgb))).toBe(fingerprint);
  });

  test('that cannot be read are left out with their place, or thrown when strict', async () => {
    const { path, rgb } = await forms(1);
    const gone = join(await folderWith({}), 'gone.png');
    const short = { ...rgb, data: rgb.data.subarray(3) };
    const html = Buffer.from('<!DOCTYPE html>');
    const images = items(labelled(path, gone, short, html, rgb));
    const store = await load(images, { strict: false });
    expect(store.count).toBe(2);
    expect(store.skipped).toEqual([
      { name: `train[1] (${gone})`, reason: 'no such file; check the path' },
      {
        name: 'train[2]',
        reason: expect.stringMatching(/^12×10 pixels of 1, 3 or 4 bytes each were expected, got 357 bytes/),
      },
      { name: 'train[3]', reason: expect.stringContaining('not a JPEG, PNG') },
    ]);
    await expect(load(images.slice(2))).rejects.toMatchObject({ code: 'image.pixels' });
    await rm(path);
    await expect(load(images.slice(0, 1))).rejects.toMatchObject({
      code: 'image.file',
      message: `train[0] (${path}): no such file; check the path`,
    });
  });
});

test('the hash of a file is that of its bytes; of pixels, it knows the shape', async () => {
  const { path, bytes, rgb } = await forms(1);
  expect(contentHash(bytes)).toBe(contentHash(await readFile(path)));
  const hashes = [rgb, { ...rgb, width: HEIGHT, height: WIDTH }, { ...rgb, data: rgb.data.subarray(3) }].map(
    contentHash,
  );
  expect(new Set([...hashes, contentHash(rgb.data)]).size).toBe(4);
  expect(contentHash({ ...rgb, data: Uint8ClampedArray.from(rgb.data) })).toBe(hashes[0]);
});

test.each([
  [undefined, 'got undefined'],
  [null, 'got null'],
  [7, 'got number'],
  [new ArrayBuffer(4), 'got ArrayBuffer'],
  [{ data: Uint8Array.of(1) }, 'got Object'],
  [{ width: 1, height: 1, data: [1, 2, 3] }, 'got data of the kind Array'],
  [{ width: 1, height: 1, data: new Float32Array(3) }, 'got data of the kind Float32Array'],
])('%s is no image', async (value, got) => {
  expect(sourceProblem(value)).toMatch(got);
  await expect(readImage(value as unknown as ImageSource, { orient: false, name: 'image 1' })).rejects.toMatchObject({
    code: 'image.source',
    message: expect.stringMatching(`^image 1: expected a file’s path.*${got}$`),
  });
});
