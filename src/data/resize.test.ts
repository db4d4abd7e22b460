import { expect, test } from 'vitest';
import { type RgbImage, resizeBicubic } from './resize.js';
import { describeWithShared, REFERENCE_IMAGES, readReference } from './testing/shared.js';

const noise = (width: number, height: number): RgbImage => ({
  width,
  height,
  pixels: Uint8Array.from({ length: width * height * 3 }, (_, i) => (Math.imul(i + 1, 0x9e3779b1) >>> 24) & 255),
});

describeWithShared('against Pillow', () => {
  const reference = readReference('reference/preprocess.safetensors');
  test.each(REFERENCE_IMAGES.filter((file) => file.endsWith('.jpg')))('%s, bit for bit', (file) => {
    const { shape, data } = reference(`${file}/decoded`);
    const image = { height: shape[0]!, width: shape[1]!, pixels: data as Uint8Array };
    const resized = resizeBicubic(image, 224, 224);
    const expected = reference(`${file}/resized`).data;
    const interleaved = Uint8Array.from(resized, (_, i) => expected[(i % 3) * 224 * 224 + Math.trunc(i / 3)]!);
    expect(Buffer.compare(resized, interleaved)).toBe(0);
  });
});

test('one colour stays that colour at every size, the extremes included', () => {
  for (const value of [0, 1, 127, 254, 255]) {
    const image = { width: 37, height: 11, pixels: new Uint8Array(37 * 11 * 3).fill(value) };
    for (const [width, height] of [
      [1, 1],
      [5, 90],
      [224, 3],
      [37, 4],
    ] as const) {
      expect(resizeBicubic(image, width, height).every((byte) => byte === value)).toBe(true);
    }
  }
});

test('overshoot at a hard edge is clipped, not wrapped', () => {
  const pixels = Uint8Array.from({ length: 8 * 3 }, (_, i) => (i < 12 ? 0 : 255));
  const row = resizeBicubic({ width: 8, height: 1, pixels }, 64, 1);
  const red = Array.from({ length: 64 }, (_, i) => row[i * 3]!);
  expect(red).toEqual([...red].sort((a, b) => a - b));
  expect(red[0]).toBe(0);
  expect(red[63]).toBe(255);
});

test('the same size gives equal bytes in a new array', () => {
  const image = noise(9, 7);
  const same = resizeBicubic(image, 9, 7);
  expect(same).toEqual(image.pixels);
  expect(same).not.toBe(image.pixels);
});

test('width and height are independent passes', () => {
  const image = noise(20, 13);
  const wide = resizeBicubic(image, 7, 13);
  expect(resizeBicubic({ width: 7, height: 13, pixels: wide }, 7, 31)).toEqual(resizeBicubic(image, 7, 31));
});

test('mirroring commutes with resizing', () => {
  const image = noise(23, 4);
  const mirrored = (pixels: Uint8Array, width: number) =>
    pixels.map((_, i) => {
      const x = Math.trunc(i / 3) % width;
      return pixels[i + 3 * (width - 1 - 2 * x)]!;
    });
  const a = resizeBicubic({ ...image, pixels: mirrored(image.pixels, 23) }, 8, 4);
  expect(mirrored(a, 8)).toEqual(resizeBicubic(image, 8, 4));
});

test('refuses sizes and pixels that do not fit', () => {
  expect(() => resizeBicubic(noise(3, 3), 0, 5)).toThrow(/positive integer sizes, got 0/);
  expect(() => resizeBicubic({ ...noise(3, 3), width: 4 }, 2, 2)).toThrow(/needs 36 bytes, got 27/);
});
