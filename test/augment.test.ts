/** Random flips and crops of training images. */
import { describe, expect, it } from 'vitest';
import { type Augmentation, augments, imageChange, looksOf } from '../src/data/augment.js';
import type { PixelStore } from '../src/data/node/index.js';
import { trivialAugment } from '../src/data/trivial-augment.js';
import { randomStream } from '../src/random.js';
import type { ModelSpec } from '../src/step/model.js';
import { epochBatches } from '../src/train/batches.js';
import type { ModelInputs } from '../src/train/inputs.js';
import { pixelInputs } from '../src/train/inputs.js';

const PASS = { seed: 3, phase: 'final' as const, epoch: 2 };
const GREY = [200, 201, 202];
const NONE = { flip: false, cropPadding: 0, trivialAugment: false };
/** Every pixel of a 5×5 image tells where it stands, and its channel. */
const image = Uint8Array.from({ length: 75 }, (_, i) => i);
const changed = (augmentation: Augmentation, index: number, pass = PASS) =>
  imageChange(augmentation, GREY, pass)!.look(image, index);

/** What an image became: which way round, and how far the window moved; from its middle pixel and a neighbour. */
function lookOf(planar: Uint8Array) {
  const [left, middle] = [planar[11]!, planar[12]!]; // row 2, columns 1 and 2
  const flipped = left > middle;
  const [row, column] = [Math.floor(middle / 5), middle % 5];
  return { flipped, down: row - 2, right: (flipped ? 4 - column : column) - 2 };
}

/** The same by its definition, pixel by pixel. */
function expected({ flipped, down, right }: ReturnType<typeof lookOf>): number[] {
  return Array.from({ length: 75 }, (_, i) => {
    const [c, y, x] = [Math.floor(i / 25), Math.floor(i / 5) % 5, i % 5];
    const [fromY, seen] = [y + down, x + right];
    if (fromY < 0 || fromY > 4 || seen < 0 || seen > 4) return GREY[c]!;
    return image[c * 25 + fromY * 5 + (flipped ? 4 - seen : seen)]!;
  });
}

describe('augmentation', () => {
  it('is nothing where nothing is asked for', () => {
    expect(augments(NONE)).toBe(false);
    expect(imageChange(NONE, GREY, PASS)).toBeNull();
  });

  it('gives every view equally often, and exactly that view', () => {
    const counts = new Map<string, number>();
    for (let index = 0; index < 9000; index++) {
      const view = changed({ ...NONE, flip: true, cropPadding: 1 }, index);
      const look = lookOf(view);
      if (index < 300) expect([...view]).toEqual(expected(look));
      const key = JSON.stringify(look);
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    // 2 × 3 × 3 views, expected 500 each, standard deviation 22
    expect(counts.size).toBe(18);
    for (const count of counts.values()) expect(Math.abs(count - 500)).toBeLessThan(5 * 22);
  });

  it.each([
    [{ ...NONE, flip: true }, 2],
    [{ ...NONE, cropPadding: 1 }, 9],
    [{ ...NONE, cropPadding: 0.2 }, 9],
    [{ ...NONE, cropPadding: 0.01 }, 1],
  ])('%o has %i views', (augmentation, views) => {
    const seen = new Set(Array.from({ length: 300 }, (_, index) => changed(augmentation, index).join()));
    expect(seen.size).toBe(views);
  });

  it('gives what was flipped and moved to TrivialAugment, with the same stream', () => {
    const trivial = { ...NONE, trivialAugment: true };
    expect(augments(trivial)).toBe(true);
    const streamOf = (index: number) => randomStream(PASS.seed, 'augment', PASS.phase, PASS.epoch, index);
    for (let index = 0; index < 100; index++) {
      expect([...changed(trivial, index)]).toEqual([...trivialAugment(image, GREY, streamOf(index), [5, 5])]);
      const stream = streamOf(index);
      stream.below(2); // what the flip takes
      const flipped = changed({ ...NONE, flip: true }, index);
      expect([...changed({ ...trivial, flip: true }, index)]).toEqual([
        ...trivialAugment(flipped, GREY, stream, [5, 5]),
      ]);
    }
  });

  it('is the same for the same seed, epoch and image, and another for any other', () => {
    const wide = { ...NONE, flip: true, cropPadding: 2 };
    const views = (pass = PASS) => Array.from({ length: 40 }, (_, index) => changed(wide, index, pass).join());
    expect(views()).toEqual(views());
    for (const pass of [
      { ...PASS, epoch: 3 },
      { ...PASS, seed: 4 },
    ]) {
      const same = views(pass).filter((view, i) => view === views()[i]);
      expect(same.length).toBeLessThan(10); // 50 views: one in fifty by chance
    }
  });
});

describe('batches of augmented images', () => {
  const store = {
    count: 6,
    labels: Int32Array.of(0, 1, 0, 1, 0, 1),
    read: async (indices: ArrayLike<number>) => {
      const bytes = new Uint8Array(indices.length * 75);
      Array.from(indices).forEach((index, i) => {
        bytes.set(
          image.map((byte) => 1 + byte + 10 * index),
          i * 75,
        );
      });
      return bytes;
    },
  } as unknown as PixelStore;
  const backbone = (mean: number) => ({
    mean: [mean, mean, mean],
    std: [1 / 255, 1 / 255, 1 / 255],
    config: { depth: 1 },
  });
  const model = (mean: number) => ({ backbone: backbone(mean), dropPath: 0 }) as unknown as ModelSpec;
  const inputs = (mean: number): ModelInputs => pixelInputs(store, model(mean));

  const read = async (augmentation: Augmentation | null, microBatch: number) => {
    const models = { student: model(0), teacher: model(0.4) };
    const data = { student: inputs(0), teacher: inputs(0.4) };
    const draws = { student: [], teacher: [] };
    const plan = { data, models, draws, batchSize: 3, microBatch, augmentation, firstStep: 0, ...PASS };
    const images: Record<'student' | 'teacher', number[]> = { student: [], teacher: [] };
    for await (const { feeds, weights } of epochBatches(plan)) {
      for (const role of ['student', 'teacher'] as const) {
        const values = feeds[`${role}.images`] as Float32Array;
        weights.forEach((weight, i) => {
          if (weight > 0) images[role].push(...values.subarray(i * 75, (i + 1) * 75));
        });
      }
    }
    return images;
  };

  it('show student and teacher the same view, each with its own mean outside', async () => {
    const { student, teacher } = await read({ ...NONE, flip: true, cropPadding: 2 }, 3);
    student.forEach((value, i) => {
      // 102 is the teacher's grey, 0 the student's; normalised, both are 0
      expect(teacher[i]).toBeCloseTo(value === 0 ? 0 : value - 102, 3);
    });
    expect(student).not.toEqual((await read(null, 3)).student);
  });

  it.each([
    ['as it is', NONE],
    ['flipped', { ...NONE, flip: true }],
    ['flipped, moved and recoloured', { flip: true, cropPadding: 2, trivialAugment: true }],
  ])('show the teacher what the student sees, mirrored, if wished: %s', async (_, augmentation) => {
    const [same, other] = [await read(augmentation, 3), await read({ ...augmentation, teacherView: 'flip' }, 3)];
    expect(other.student).toEqual(same.student);
    expect(other.teacher).not.toEqual(same.teacher);
    const rows = Array.from({ length: same.teacher.length / 5 }, (_, row) => same.teacher.slice(5 * row, 5 * row + 5));
    expect(other.teacher).toEqual(rows.flatMap((row) => row.reverse()));
  });

  it('say what is mirrored where that is all', () => {
    for (const teacherView of ['same', 'flip'] as const) {
      for (const flip of [false, true]) {
        const look = { ...NONE, flip, teacherView };
        for (const teacher of [false, true]) {
          const change = imageChange(look, GREY, PASS, 5, teacher);
          const seen = new Set<string>();
          for (let index = 0; index < 30; index++) {
            const mirrors = change?.mirrors?.(index, 1) ?? false;
            const planar = change?.look(image, index, 1) ?? image;
            expect([...planar]).toEqual(expected({ flipped: mirrors, down: 0, right: 0 }));
            seen.add(mirrors ? 'mirrored' : 'plain');
          }
          expect(seen.size === 2 ? 'both' : [...seen][0]).toBe(looksOf(look, teacher));
        }
      }
    }
    expect(imageChange({ ...NONE, cropPadding: 1 }, GREY, PASS)!.mirrors).toBeNull();
  });

  it('do not depend on how a batch is cut', async () => {
    const augmentation = { ...NONE, flip: true, cropPadding: 2 };
    expect(await read(augmentation, 2)).toEqual(await read(augmentation, 3));
  });
});
