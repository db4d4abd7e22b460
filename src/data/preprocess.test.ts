import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { decodeImage } from './node/decode.js';
import { normaliseInto, preprocess, toPlanar } from './preprocess.js';
import { describeWithShared, REFERENCE_IMAGES, readReference, sharedPath } from './testing/shared.js';

describeWithShared('from the file to the network, against Pillow and torchvision', () => {
  const reference = readReference('reference/preprocess.safetensors');
  test.each(REFERENCE_IMAGES)('%s', async (file) => {
    const bytes = await readFile(sharedPath(`reference/images/${file}`));
    const planar = preprocess(await decodeImage(bytes, { orient: false, name: file }), 224);
    expect(Buffer.compare(planar, reference(`${file}/resized`).data as Uint8Array)).toBe(0);

    const normalised = new Float32Array(planar.length + 5);
    normaliseInto(planar, [0.5, 0.5, 0.5], [0.5, 0.5, 0.5], normalised, 5);
    const expected = reference(`${file}/normalised`).data;
    const worst = Array.from(expected).reduce(
      (max, value, i) => Math.max(max, Math.abs(value - normalised[i + 5]!)),
      0,
    );
    expect(worst).toBeLessThan(1e-7);
    expect([...normalised.subarray(0, 5)]).toEqual([0, 0, 0, 0, 0]);
  });
});

test('planar puts all red before all green before all blue', () => {
  expect([...toPlanar(Uint8Array.of(1, 2, 3, 4, 5, 6))]).toEqual([1, 4, 2, 5, 3, 6]);
});

test('each channel has its own mean and std', () => {
  const out = new Float32Array(3);
  normaliseInto(Uint8Array.of(255, 255, 0), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225], out, 0);
  expect([...out]).toEqual([(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (0 - 0.406) / 0.225].map(Math.fround));
});

test('refuses what does not fit', () => {
  const three = [0.5, 0.5, 0.5];
  expect(() => normaliseInto(new Uint8Array(4), three, three, new Float32Array(4), 0)).toThrow(/for each channel of 4/);
  expect(() => normaliseInto(new Uint8Array(3), three, [1, 1, 0], new Float32Array(3), 0)).toThrow(/positive std/);
  expect(() => normaliseInto(new Uint8Array(3), three, three, new Float32Array(3), 1)).toThrow(/do not fit into 3/);
});
