import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { isImagePath } from '../file-tree.js';
import { decodeImage } from './decode.js';

interface Case {
  file: string;
  shape: [number, number, number];
  pixels: string;
  tolerance: number;
}
const fixture = new URL('../../../test/fixtures/image-formats.json', import.meta.url);
const cases: Record<string, Case> = JSON.parse(readFileSync(fixture, 'utf8'));
const decode = (bytes: Uint8Array) => decodeImage(bytes, { orient: false, name: 'a.bin' });

test.each(Object.entries(cases))('%s decodes to Pillow’s bytes', async (_, { file, shape, pixels, tolerance }) => {
  const image = await decode(Buffer.from(file, 'base64'));
  expect([image.height, image.width, 3]).toEqual(shape);
  const expected = Buffer.from(pixels, 'base64');
  expect(image.pixels.length).toBe(expected.length);
  const worst = expected.reduce((most, byte, i) => Math.max(most, Math.abs(byte - image.pixels[i]!)), 0);
  expect(worst).toBeLessThanOrEqual(tolerance);
});

describe('a picture cut short is refused, whatever its format', () => {
  test.each(Object.entries(cases).filter(([name]) => !/AVIF|plain|MPO|float|animated/.test(name)))(
    '%s',
    async (_, { file }) => {
      const bytes = Buffer.from(file, 'base64');
      const halves = [0.3, 0.6].map((share) => bytes.subarray(0, Math.floor(bytes.length * share)));
      for (const half of halves) await expect(decode(half)).rejects.toMatchObject({ code: 'image.unreadable' });
    },
  );
});

test('whatever stands in a BMP or PNM, it is decoded or refused', async () => {
  for (const name of ['BMP, palette', 'BMP, 16 bits in masks', 'PPM', 'PPM, plain']) {
    const bytes = Buffer.from(cases[name]!.file, 'base64');
    for (let at = 0; at < Math.min(bytes.length, 80); at++) {
      for (const value of [0, 1, 0x39, 0x7f, 0xff]) {
        const changed = Buffer.from(bytes);
        changed[at] = value;
        await decode(changed).catch((error) => expect(error).toMatchObject({ name: 'IdatError' }));
      }
    }
  }
});

test('an index beyond a BMP’s palette is black', async () => {
  const bytes = Buffer.from(cases['BMP, palette']!.file, 'base64');
  const whole = await decode(bytes);
  bytes.writeUInt32LE(1, 46);
  const first = [...bytes.subarray(54, 57)].reverse();
  const { pixels } = await decode(bytes);
  const colours = (all: Uint8Array) =>
    new Set(Array.from({ length: all.length / 3 }, (_, i) => all.slice(3 * i, 3 * i + 3).join()));
  expect(colours(whole.pixels).size).toBeGreaterThan(2);
  expect([...colours(pixels)].filter((colour) => colour !== first.join())).toEqual(['0,0,0']);
});

test.each([
  ['HEIC', Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic', 'latin1'), 'HEIC, which idat does not decode; save it'],
  ['Photoshop', Buffer.from('8BPS\0\x01'), 'Photoshop file, which'],
  ['JPEG XL', Buffer.from('\xff\x0a', 'latin1'), 'JPEG XL, which'],
  ['a run-length BMP', bmpOfCompression(1), 'compression 1 is not read'],
])('%s is called by its name', async (_, bytes, message) => {
  await expect(decode(bytes)).rejects.toThrow(message);
});

function bmpOfCompression(compression: number): Buffer {
  const bytes = Buffer.from(cases['BMP, palette']!.file, 'base64');
  bytes.writeUInt32LE(compression, 30);
  return bytes;
}

test('names of pictures', () => {
  const pictures = 'jpg JPEG jpe jfif png webp gif tif TIFF avif bmp ppm pgm pbm'.split(' ');
  expect(pictures.filter((extension) => !isImagePath(`a.${extension}`))).toEqual([]);
  expect(['heic', 'psd', 'cr2', 'txt', 'svg'].filter((extension) => isImagePath(`a.${extension}`))).toEqual([]);
});
