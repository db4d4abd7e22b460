/** Progress as it looks in a terminal and elsewhere. */
import type { WriteStream } from 'node:tty';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { estimateText } from '../src/cli/estimate-text.js';
import { progressLine } from '../src/cli/progress.js';
import type { Progress } from '../src/train/progress.js';

let now = 0;
beforeEach(() => {
  now = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => now);
});
afterEach(() => vi.restoreAllMocks());

/** A screen of so many columns: lines that stay, and the one that is rewritten. */
function screen(columns: number | null) {
  let text = '';
  const write = (part: string) => {
    text += part;
  };
  const stream = { isTTY: columns !== null, columns, write };
  return {
    stream: stream as unknown as WriteStream,
    lines: () => text.split('\n').map((line) => line.split('\r\x1b[2K').at(-1)!),
    written: () => text.split('\n').flatMap((line) => line.split('\r\x1b[2K')),
  };
}

const losses = { student: 1.2344, teacher: 1.1, distill: 0.03, total: 2.3644 };
const step = (epoch: number, epochs: number, secondsLeft = 3754): Progress => ({
  ...({
    kind: 'step',
    phase: 'final',
    epoch,
    epochs,
    step: 3,
    steps: 10,
    losses,
    trainAccuracy: 0.801,
    lr: 1,
  } as const),
  ...{ secondsLeft, imagesPerSecond: 312 },
});
const epoch = (index: number, epochs: number, correct?: number): Progress => ({
  ...({ kind: 'epoch', phase: 'final', epoch: index, epochs, seconds: 42, lr: 1, loss: losses } as const),
  ...{ trainAccuracy: 0.801, teacherTrainAccuracy: 0.7, valAccuracy: null, testAccuracy: null },
  look: correct === undefined ? null : { split: 'val', correct, total: 1500 },
});

describe('a terminal of 60 columns', () => {
  it('shows what is left first, and no line is longer', () => {
    const { stream, lines, written } = screen(60);
    const { onProgress } = progressLine('', stream);
    now = 1000;
    onProgress(step(11, 100));
    expect(lines().at(-1)).toBe('1:02:34 left  epoch 12/100  loss 1.234  train 80.1 %');
    now = 2000;
    onProgress(step(11, 100, 754));
    expect(lines().at(-1)).toBe('12:34 left  █░░░░░  epoch 12/100  loss 1.234  train 80.1 %');
    onProgress(epoch(4, 100, 1068));
    expect(lines().at(-2)).toBe('epoch 5/100  loss 1.234  train 80.1 %  val 71.2 % (69–73)');
    expect(Math.max(...written().map((line) => line.length))).toBeLessThan(60);
  });

  it('keeps every epoch of a short run and some twenty of a long one', () => {
    for (const [epochs, kept] of [
      [3, 3],
      [20, 20],
      [110, 20],
      [1000, 21],
    ] as const) {
      const { stream, lines } = screen(60);
      const { onProgress } = progressLine('', stream);
      for (let i = 0; i < epochs; i++) {
        now += 1000;
        onProgress(step(i, epochs));
        onProgress(epoch(i, epochs));
      }
      const stayed = lines().filter((line) => line.startsWith('epoch '));
      expect(stayed).toHaveLength(kept);
      expect([stayed[0]!, stayed.at(-1)!].map((line) => line.split(' ')[1])).toEqual([
        `1/${epochs}`,
        `${epochs}/${epochs}`,
      ]);
    }
  });

  it('tells from the pace how long reading will take', () => {
    const { stream, lines } = screen(60);
    const { onProgress } = progressLine('', stream);
    onProgress({ kind: 'decode', done: 1, total: 101 });
    now = 5000;
    onProgress({ kind: 'decode', done: 51, total: 101 });
    expect(lines().at(-1)).toBe('0:05 left  ███░░░  reading images 51/101');
  });

  it('has the name of a run above its lines', () => {
    const { stream, lines } = screen(60);
    const line = progressLine('', stream);
    line.head('runs/a');
    line.onProgress(epoch(0, 1));
    line.head('runs/b');
    line.onProgress({ kind: 'note', text: 'a note' });
    line.onProgress({ kind: 'note', text: 'another' });
    const [first, , ...rest] = lines();
    expect(first).toBe('runs/a');
    expect(rest).toEqual(['runs/b', 'a note', 'another', '']);
  });
});

it('elsewhere a line is written now and then, and the last epoch', () => {
  const { stream, written } = screen(null);
  const { onProgress } = progressLine('', stream);
  for (let second = 1; second < 25; second++) {
    now = 1000 * second;
    onProgress(step(0, 2, 60 - second));
  }
  onProgress(epoch(1, 2));
  expect(written()).toEqual([
    '0:50 left  epoch 1/2  loss 1.234  train 80.1 %  312 images/s  teacher 1.100',
    '0:40 left  epoch 1/2  loss 1.234  train 80.1 %  312 images/s  teacher 1.100',
    'epoch 2/2  loss 1.234  train 80.1 %  0:42  teacher 1.100  distil 0.030',
    '',
  ]);
});

describe('an estimate', () => {
  const short = { seconds: 1250, atMost: false, memoryBytes: 7.1e8, diskBytes: 2.34e9, faster: [] };
  it('is a line', () => {
    expect(estimateText(short)).toBe('estimate: 21 minutes, 710 MB of memory, 2.3 GB of disk');
    expect(estimateText({ ...short, seconds: 4, atMost: true, diskBytes: 0 })).toBe(
      'estimate: up to a few seconds, 710 MB of memory, under 1 MB of disk',
    );
  });

  it('of a long run says what to type to be faster', () => {
    const faster = [
      { setting: 'imageSize', value: 160, seconds: 5000 },
      { setting: 'frozen', value: 'int8', seconds: 8000 },
    ] as const;
    expect(estimateText({ ...short, seconds: 9000, faster })).toBe(
      'estimate: 2.5 hours, 710 MB of memory, 2.3 GB of disk\nfaster: --image-size 160: 83 minutes; --frozen int8: 2.2 hours',
    );
  });
});
