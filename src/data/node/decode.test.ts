import { readFile } from 'node:fs/promises';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { cmykToRgb } from '../cmyk.js';
import { craftPng } from '../testing/png.js';
import { describeWithShared, REFERENCE_IMAGES, readReference, sharedPath } from '../testing/shared.js';
import { decodeImage } from './decode.js';

const decode = (bytes: Uint8Array, orient = false) => decodeImage(bytes, { orient, name: 'pets/0412.jpg' });

/** 40×30, red to the right, green downwards, no two pixels alike. */
const gradient = () => {
  const pixels = Uint8Array.from({ length: 40 * 30 * 3 }, (_, i) => {
    const [x, y] = [Math.trunc(i / 3) % 40, Math.trunc(i / 120)];
    return [x * 6, y * 8, 90][i % 3]!;
  });
  return { pixels, image: sharp(pixels, { raw: { width: 40, height: 30, channels: 3 } }) };
};

describeWithShared('the reference images', () => {
  const reference = readReference('reference/preprocess.safetensors');
  const file = (name: string) => readFile(sharedPath(`reference/images/${name}`));

  test.each(REFERENCE_IMAGES.filter((name) => name.endsWith('.jpg')))('%s decodes to Pillow’s bytes', async (name) => {
    const { shape, data } = reference(`${name}/decoded`);
    const image = await decode(await file(name));
    expect([image.height, image.width, 3]).toEqual(shape);
    expect(Buffer.compare(image.pixels, data as Uint8Array)).toBe(0);
  });

  test('EXIF orientation 6 turns the image a quarter clockwise, when asked', async () => {
    const bytes = await file('exif6_375x500.jpg');
    const lying = await decode(bytes);
    const upright = await decode(bytes, true);
    expect([lying.width, lying.height]).toEqual([375, 500]);
    expect([upright.width, upright.height]).toEqual([500, 375]);
    const pixel = (image: typeof lying, x: number, y: number) => [
      ...image.pixels.subarray((y * image.width + x) * 3).subarray(0, 3),
    ];
    for (const [x, y] of [
      [0, 0],
      [499, 0],
      [17, 200],
      [499, 374],
    ] as const) {
      expect(pixel(upright, x, y)).toEqual(pixel(lying, y, 499 - x));
    }
  });

  test('CMYK without Adobe’s marker is taken as inverted all the same, as Pillow does', async () => {
    const bytes = await file('cmyk_180x240.jpg');
    const marker = bytes.indexOf(Buffer.from([0xff, 0xee]));
    const without = Buffer.concat([
      bytes.subarray(0, marker),
      bytes.subarray(marker + 2 + bytes.readUInt16BE(marker + 2)),
    ]);
    expect((await decode(without)).pixels).toEqual((await decode(bytes)).pixels);
  });

  test('a JPEG or PNG cut anywhere is refused', async () => {
    for (const name of ['photo_500x375.jpg', 'rgba_640x480.png']) {
      const bytes = await file(name);
      for (const kept of [0.02, 0.5, 0.98]) {
        await expect(decode(bytes.subarray(0, bytes.length * kept))).rejects.toMatchObject({
          code: 'image.unreadable',
          message: expect.stringMatching(/^pets\/0412\.jpg: truncated/),
        });
      }
    }
  });

  test('a PNG with a flipped byte is refused', async () => {
    const bytes = await file('rgba_640x480.png');
    bytes[60_000]! ^= 0x55;
    await expect(decode(bytes)).rejects.toMatchObject({ code: 'image.unreadable' });
  });
});

describe('kinds of image', () => {
  test('lossless PNG and WebP come back exactly; the name plays no part', async () => {
    const { pixels, image } = gradient();
    expect((await decode(await image.clone().png().toBuffer())).pixels).toEqual(Buffer.from(pixels));
    expect((await decode(await image.clone().webp({ lossless: true }).toBuffer())).pixels).toEqual(Buffer.from(pixels));
  });

  test('a gray JPEG has three equal channels', async () => {
    const { image } = gradient();
    const { pixels } = await decode(await image.greyscale().jpeg().toBuffer());
    expect(pixels.length).toBe(40 * 30 * 3);
    expect(pixels.every((byte, i) => byte === pixels[i - (i % 3)])).toBe(true);
  });

  test('alpha is dropped: a transparent pixel keeps its colour', async () => {
    const png = craftPng({ width: 2, height: 1, bitDepth: 8, colourType: 6 }, [0, 10, 20, 30, 0, 40, 50, 60, 128]);
    expect([...(await decode(png)).pixels]).toEqual([10, 20, 30, 40, 50, 60]);
    const grayAlpha = craftPng({ width: 2, height: 1, bitDepth: 8, colourType: 4 }, [0, 10, 0, 200, 128]);
    expect([...(await decode(grayAlpha)).pixels]).toEqual([10, 10, 10, 200, 200, 200]);
  });

  test('a palette is expanded, its transparency dropped', async () => {
    const png = craftPng(
      { width: 3, height: 1, bitDepth: 2, colourType: 3 },
      [0, 0b00_01_10_00],
      [
        { type: 'PLTE', data: [1, 2, 3, 4, 5, 6, 7, 8, 9] },
        { type: 'tRNS', data: [0, 128, 255] },
      ],
    );
    expect([...(await decode(png)).pixels]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test('of 16 bits the high 8 are kept', async () => {
    const rgb = craftPng({ width: 1, height: 1, bitDepth: 16, colourType: 2 }, [0, 0x01, 0xff, 0x7f, 0x80, 0xfe, 0xff]);
    expect([...(await decode(rgb)).pixels]).toEqual([0x01, 0x7f, 0xfe]);
    const gray = craftPng({ width: 2, height: 1, bitDepth: 16, colourType: 0 }, [0, 0x01, 0xff, 0xff, 0xff]);
    expect([...(await decode(gray)).pixels]).toEqual([1, 1, 1, 255, 255, 255]);
  });

  test('one bit is black and white', async () => {
    const png = craftPng({ width: 4, height: 1, bitDepth: 1, colourType: 0 }, [0, 0b01010000]);
    expect([...(await decode(png)).pixels]).toEqual([0, 0, 0, 255, 255, 255, 0, 0, 0, 255, 255, 255]);
  });

  test('a colour profile is not applied', async () => {
    const { pixels, image } = gradient();
    const png = await image.withIccProfile('p3').png().toBuffer();
    const bare = await sharp(png, { ignoreIcc: true }).raw().toBuffer();
    expect(bare).not.toEqual(Buffer.from(pixels));
    expect((await decode(png)).pixels).toEqual(bare);
  });

  test('CMYK to RGB at the corners of the cube', () => {
    const cmyk = Uint8Array.of(0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 128, 64, 1, 100);
    expect([...cmykToRgb(cmyk)]).toEqual([255, 255, 255, 0, 255, 255, 0, 0, 0, 0, 0, 0, 77, 116, 154]);
  });
});

describe('refusals', () => {
  test('a 20,000×20,000 image is refused before it is decoded', async () => {
    const png = craftPng({ width: 20_000, height: 20_000, bitDepth: 8, colourType: 2 }, [0, 0, 0, 0]);
    const before = process.memoryUsage().rss;
    await expect(decode(png)).rejects.toMatchObject({
      code: 'image.too-large',
      message: expect.stringContaining('20000×20000 pixels'),
    });
    expect(process.memoryUsage().rss - before).toBeLessThan(200e6);
  });

  test.each([
    [
      'an HTML page',
      Buffer.from('<!DOCTYPE html><html>'),
      'not a JPEG, PNG, WebP, GIF, TIFF, AVIF, BMP or PNM (starts with "<!DOCTYPE ht")',
    ],
    ['an empty file', Buffer.alloc(0), 'AVIF, BMP or PNM (the file is empty)'],
    [
      'an SVG, which sharp would draw',
      Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'),
      'starts with "<svg xmlns=',
    ],
    ['a JPEG of three bytes', Buffer.from([0xff, 0xd8, 0xff]), 'truncated image'],
  ])('%s', async (_, bytes, reason) => {
    await expect(decode(bytes)).rejects.toMatchObject({
      code: 'image.unreadable',
      message: expect.stringContaining(`pets/0412.jpg: `),
    });
    await expect(decode(bytes)).rejects.toThrow(reason);
  });
});
