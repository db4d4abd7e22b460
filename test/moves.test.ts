/** Whether training images are moved, where that is left to the data. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  type FineTuneControl,
  type FineTuneRequest,
  fineTune,
  type MemoryData,
  type RunRecord,
  resume,
} from '../src/index.js';
import { type RandomStream, randomStream } from '../src/random.js';
import { parseConfig } from '../src/settings/config.js';
import { movingLoss } from '../src/train/moves.js';
import { STUDENT, temporaryFolder } from './train-support.js';

describe('what moving takes from features', () => {
  const [N, D, K] = [12, 5, 3];
  const labels = Array.from({ length: N }, (_, i) => i % K);
  const random = randomStream(3, 'moved features');
  const features = (strength: number) =>
    Float32Array.from({ length: N * D }, (_, at) => {
      const own = labels[Math.floor(at / D)] === at % D;
      return 2 + random.normal() + (own ? strength : 0);
    });
  const plain = features(2);

  it('is what regressions that were made without each image say', () => {
    const moved = [features(2), features(1)];
    const mean = Array.from({ length: D }, (_, d) => meanOf(labels.map((_, i) => plain[i * D + d]!)));
    const row = (from: Float32Array, i: number) => mean.map((m, d) => from[i * D + d]! - m);
    const target = (i: number) => Array.from({ length: K }, (_, k) => (labels[i] === k ? 1 : 0) - 1 / K);
    const trace = labels.reduce((sum, _, i) => sum + row(plain, i).reduce((total, x) => total + x * x, 0), 0);
    const scores = { before: Array<number>(N).fill(0), after: Array<number>(N).fill(0) };
    for (const share of [1e-3, 1e-2, 1e-1, 1]) {
      const lambda = (share * trace) / Math.min(N - 1, D);
      for (let i = 0; i < N; i++) {
        const others = labels.map((_, j) => j).filter((j) => j !== i);
        // (XᵀX + λI) W = XᵀY without image i
        const gram = Array.from({ length: D }, (_, a) =>
          Array.from({ length: D }, (_, b) =>
            others.reduce((sum, j) => sum + row(plain, j)[a]! * row(plain, j)[b]!, a === b ? lambda : 0),
          ),
        );
        const weights = Array.from({ length: K }, (_, k) =>
          solve(
            gram,
            Array.from({ length: D }, (_, a) => others.reduce((sum, j) => sum + row(plain, j)[a]! * target(j)[k]!, 0)),
          ),
        );
        const scoreOf = (from: Float32Array) => {
          const answers = weights.map((w) => row(from, i).reduce((sum, x, d) => sum + x * w[d]!, 1 / K));
          const middle = meanOf(answers);
          return (answers[labels[i]!]! - middle) / Math.sqrt(meanOf(answers.map((value) => (value - middle) ** 2)));
        };
        scores.before[i]! += scoreOf(plain) / 4;
        for (const view of moved) scores.after[i]! += scoreOf(view) / 4 / moved.length;
      }
    }
    const gone = scores.before.map((value, i) => value - scores.after[i]!);
    const spread = Math.sqrt(meanOf(gone.map((value) => (value - meanOf(gone)) ** 2)));
    const found = movingLoss({ plain, moved, labels });
    expect(found.lost).toBeCloseTo(meanOf(gone) / meanOf(scores.before), 8);
    expect(found.standardErrors).toBeCloseTo((meanOf(gone) * Math.sqrt(N)) / spread, 6);
    expect(found.lost).toBeGreaterThan(0.05);
  });

  it('is nothing where they stay as they were, and where they say nothing', () => {
    expect(movingLoss({ plain, moved: [plain, plain], labels }).lost).toBeLessThan(0.2);
    const blank = new Float32Array(N * D).fill(1);
    expect(movingLoss({ plain: blank, moved: [blank], labels })).toEqual({ lost: 0, standardErrors: 0 });
    expect(movingLoss({ plain, moved: [plain], labels: labels.map(() => 2) }).lost).toBe(0);
  });
});

it.each(['far', 1.5, -1])('how far images move is refused in a sentence: %s', (cropPadding) => {
  expect(() => parseConfig({ data: 'x', cropPadding: cropPadding as number })).toThrow(
    /^cropPadding: expected whole pixels, a share of the side below 1, or auto, got /,
  );
});

describe('a run that leaves it to the data', () => {
  const root = temporaryFolder();
  afterAll(() => rmSync(root, { recursive: true }));

  const SIDE = 32;
  /** A patch of noise on grey, in one of eight classes. @param at its left edge and its colour */
  const picture = (random: RandomStream, { left, hue }: { left: number; hue: number }) => {
    const top = random.below(SIDE - 8);
    const data = new Uint8ClampedArray(SIDE * SIDE * 4).fill(110);
    for (let y = 0; y < SIDE; y++)
      for (let x = 0; x < SIDE; x++) {
        const place = 4 * (y * SIDE + x);
        data[place + 3] = 255;
        if (x < left || x >= left + 8 || y < top || y >= top + 8) continue;
        for (let c = 0; c < 3; c++) data[place + c] = random.below(60) + ((hue >> c) & 1) * 190;
      }
    return { width: SIDE, height: SIDE, data };
  };
  const CLASSES = Array.from({ length: 8 }, (_, k) => `class ${k}`);
  /** Classes that are places, three pixels apart, or colours. */
  const dataOf = (kind: 'places' | 'colours'): MemoryData => {
    const images = (split: string) =>
      Array.from({ length: split === 'train' ? 96 : 16 }, (_, i) => {
        const random = randomStream(1, kind, split, i);
        const [label, other] = [i % 8, random.below(8)];
        const at = kind === 'places' ? { left: 3 * label, hue: other } : { left: 3 * other, hue: label };
        return { image: picture(random, at), label };
      });
    return { classes: CLASSES, train: images('train'), test: images('test') };
  };
  const train = async (
    kind: 'places' | 'colours',
    out: string,
    more: Partial<FineTuneRequest>,
    control: FineTuneControl = {},
  ) => {
    const notes: string[] = [];
    const onProgress: FineTuneControl['onProgress'] = (event) => {
      if (event.kind === 'note') notes.push(event.text);
      control.onProgress?.(event);
    };
    const request: FineTuneRequest = {
      ...{ data: dataOf(kind), student: STUDENT, teacher: null, method: 'sequential', options: { hidden: 2 } },
      ...{ epochs: 2, warmupEpochs: 0, cooldownEpochs: 0, batchSize: 32, microBatch: 32, seed: 5 },
      ...{ device: 'cpu', threads: 1, out: join(root, out), ...more },
    };
    await fineTune(request, { ...control, onProgress });
    const record = JSON.parse(readFileSync(join(root, out, 'config.json'), 'utf8')) as RunRecord;
    return { notes: notes.join('\n'), record };
  };
  const trained = (out: string) => readFileSync(join(root, out, 'student.safetensors')).toString('hex');

  it('moves no images whose classes are places, and trains as if nobody had asked', async () => {
    const { notes, record } = await train('places', 'places', { cropPadding: 'auto' });
    expect(record.resolved.cropPadding).toBe(0);
    expect(record.settings.cropPadding).toBe('auto');
    expect(notes).toMatch(/^training images are not moved: that would take [3-9]\d % from what/m);
    await train('places', 'places-still', { cropPadding: 0 });
    expect(trained('places')).toBe(trained('places-still'));
  });

  it('moves those whose classes are what is on them, and goes on in the same way after a stop', async () => {
    const { notes, record } = await train('colours', 'colours', { cropPadding: 'auto' });
    expect(record.resolved.cropPadding).toBe(0.125);
    expect(notes).toMatch(/^training images are moved by up to an eighth of their side: that takes [12]?\d % from/m);
    const stop = new AbortController();
    const onProgress: FineTuneControl['onProgress'] = (event) => {
      if (event.kind === 'epoch') stop.abort();
    };
    const stopped = train('colours', 'stopped', { cropPadding: 'auto' }, { onProgress, signal: stop.signal });
    await expect(stopped).rejects.toMatchObject({ code: 'run.interrupted' });
    const config = join(root, 'stopped', 'config.json');
    const kept = readFileSync(config, 'utf8');
    writeFileSync(config, kept.replace('"cropPadding": 0.125', '"other": 1'));
    const damaged = resume(join(root, 'stopped'), { data: dataOf('colours') });
    await expect(damaged).rejects.toMatchObject({ code: 'run.damaged' });
    writeFileSync(config, kept);
    await resume(join(root, 'stopped'), { data: dataOf('colours') });
    expect(trained('stopped')).toBe(trained('colours'));
    await train('colours', 'colours-moved', { cropPadding: 0.125 });
    expect(trained('colours')).toBe(trained('colours-moved'));
  });

  it('stops while it looks, and leaves nothing behind', async () => {
    const stop = new AbortController();
    const onProgress: FineTuneControl['onProgress'] = (event) => {
      if (event.kind === 'evaluate') stop.abort();
    };
    const stopped = train('colours', 'early', { cropPadding: 'auto' }, { onProgress, signal: stop.signal });
    await expect(stopped).rejects.toMatchObject({
      code: 'run.interrupted',
      message: 'stopped before training began; nothing was lost',
    });
    expect(() => readFileSync(join(root, 'early', 'config.json'))).toThrow(/ENOENT/);
  });
});

const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Gauss and Jordan. */
function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const rows = matrix.map((row, i) => [...row, right[i]!]);
  for (const [i, pivot] of rows.entries()) {
    for (const [j, row] of rows.entries()) {
      if (i === j) continue;
      const factor = row[i]! / pivot[i]!;
      for (const [at, value] of pivot.entries()) row[at]! -= factor * value;
    }
  }
  return rows.map((row, i) => row[row.length - 1]! / row[i]!);
}
