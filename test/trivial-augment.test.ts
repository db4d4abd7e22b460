/** TrivialAugment's changes against Pillow's, or against their definition where pixels move. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { TRIVIAL_CHANGES, trivialAugment } from '../src/data/trivial-augment.js';
import { type RandomStream, randomStream } from '../src/random.js';

interface Fixture {
  originals: Record<string, string>;
  cases: { change: string; strength: number; side: number; bytes: string }[];
}

const bytesOf = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'));
const fixture = JSON.parse(readFileSync('test/fixtures/trivial-augment.json', 'utf8')) as Fixture;
const GREY = [100, 110, 120];
const original = (side: number) => ({
  bytes: bytesOf(fixture.originals[side]!),
  height: side,
  width: side,
  fill: GREY,
});
const photograph = original(12);
const change = (name: string, strength: number, image = photograph) => TRIVIAL_CHANGES[name]!.change(image, strength);

/** Blends are rounded here, and cut off by Pillow where it does not extrapolate. */
const TOLERANCES: Record<string, number> = { brightness: 1, color: 1, contrast: 1, sharpness: 1 };

describe("TrivialAugment's changes of colour", () => {
  it.each(fixture.cases)(
    '$change at $strength is what Pillow makes of it',
    ({ change: name, strength, side, bytes }) => {
      const [ours, theirs] = [change(name, strength, original(side)), bytesOf(bytes)];
      const worst = ours.reduce((most, byte, i) => Math.max(most, Math.abs(byte - theirs[i]!)), 0);
      expect(ours.length).toBe(theirs.length);
      expect(worst).toBeLessThanOrEqual(TOLERANCES[name] ?? 0);
    },
  );

  it('leave an image of one colour and one of one channel whole', () => {
    const plain = { bytes: new Uint8Array(48).fill(77), height: 4, width: 4, fill: GREY };
    for (const name of ['identity', 'autocontrast', 'equalize', 'color', 'contrast', 'sharpness']) {
      expect([...change(name, 0.8, plain)], name).toEqual(Array(48).fill(77));
    }
    const grey = { bytes: photograph.bytes.subarray(0, 144), height: 12, width: 12, fill: [100] };
    expect([...change('color', 1, grey)]).toEqual([...grey.bytes]);
  });
});

describe("TrivialAugment's changes of shape", () => {
  const [height, width] = [20, 16];
  const [middleX, middleY] = [(width - 1) / 2, (height - 1) / 2];
  /** Bilinear interpolation gives a ramp back exactly, so each pixel tells where it was: x in one channel, y in the other. */
  const at = (axis: number) =>
    Array.from({ length: height * width }, (_, i) => 40 + 10 * (axis === 0 ? i % width : Math.floor(i / width)));
  const ramp = { bytes: Uint8Array.from([...at(0), ...at(1)]), height, width, fill: [0, 0] };
  const angle = Math.PI / 6;

  it.each([
    ['rotate', 1, [Math.cos(angle), Math.sin(angle), -Math.sin(angle), Math.cos(angle)], [0, 0]],
    ['rotate', -0.5, [Math.cos(angle / 2), -Math.sin(angle / 2), Math.sin(angle / 2), Math.cos(angle / 2)], [0, 0]],
    ['shearX', 1, [1, 0.3, 0, 1], [0, 0]],
    ['shearY', -1, [1, 0, -0.3, 1], [0, 0]],
    ['translateX', 1, [1, 0, 0, 1], [5, 0]],
    ['translateX', -0.6, [1, 0, 0, 1], [-3, 0]],
    ['translateY', 1, [1, 0, 0, 1], [0, 6]],
  ] as const)('%s by %d takes each pixel from where it should', (name, strength, [a, b, c, d], [right, down]) => {
    const changed = change(name, strength, ramp);
    let inside = 0;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const fromX = middleX + a * (x - middleX) + b * (y - middleY) + right;
        const fromY = middleY + c * (x - middleX) + d * (y - middleY) + down;
        const pixel = y * width + x;
        const [seenX, seenY] = [changed[pixel]!, changed[height * width + pixel]!];
        if (fromX <= -1 || fromX >= width || fromY <= -1 || fromY >= height) {
          expect([seenX, seenY]).toEqual([0, 0]);
        } else if (fromX >= 0 && fromX <= width - 1 && fromY >= 0 && fromY <= height - 1) {
          inside++;
          expect(Math.abs(seenX - (40 + 10 * fromX))).toBeLessThanOrEqual(0.51);
          expect(Math.abs(seenY - (40 + 10 * fromY))).toBeLessThanOrEqual(0.51);
        }
      }
    }
    expect(inside).toBeGreaterThan(height * width * 0.6);
  });

  it('put the fill of each channel outside', () => {
    const moved = change('translateY', 1, { ...photograph, fill: GREY });
    const last = [0, 1, 2].map((channel) => moved[channel * 144 + 143]);
    expect(last).toEqual(GREY);
  });
});

describe('TrivialAugment', () => {
  it('takes each change, and each strength of it in both directions, about equally often', () => {
    const drawn: number[] = [];
    const counting = (stream: RandomStream): RandomStream => ({
      ...stream,
      below: (n) => {
        const value = stream.below(n);
        if (n === Object.keys(TRIVIAL_CHANGES).length) drawn.push(value);
        return value;
      },
    });
    const looks = new Set<string>();
    for (let index = 0; index < 7000; index++) {
      looks.add(trivialAugment(photograph.bytes, GREY, counting(randomStream(1, 'test', index)), [12, 12]).join());
    }
    expect(Object.keys(TRIVIAL_CHANGES)).toHaveLength(14);
    for (let i = 0; i < 14; i++) {
      const count = drawn.filter((value) => value === i).length;
      expect(Math.abs(count - 500)).toBeLessThan(5 * 22); // standard deviation 22
    }
    // 2 × 30 of each of four that turn or blend and of two shears, fewer of those that are rounded to pixels, bits or bytes
    expect(looks.size).toBeGreaterThan(350);
  });

  it('leaves the image it is given alone', () => {
    const before = photograph.bytes.join();
    for (let index = 0; index < 200; index++)
      trivialAugment(photograph.bytes, GREY, randomStream(2, 'test', index), [12, 12]);
    expect(photograph.bytes.join()).toBe(before);
  });
});
