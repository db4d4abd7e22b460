import { describe, expect, it } from 'vitest';
import { distillationWeight } from './weight-schedule.js';

describe('the weight of the distillation loss', () => {
  const from2to1 = { without: 0, beta: 2, betaEnd: 1, epochs: 5 };
  it.each([
    ['linear', [2, 1.75, 1.5, 1.25, 1, 1, 1]],
    ['cosine', [2, 2 - (1 - Math.SQRT1_2) / 2, 1.5, 1 + (1 - Math.SQRT1_2) / 2, 1, 1, 1]],
  ] as const)('goes %sly from the first to the last and stays there in the cooldown', (betaShape, expected) => {
    expected.forEach((weight, epoch) => {
      expect(distillationWeight(epoch, { ...from2to1, betaShape })).toBeCloseTo(weight, 12);
    });
  });
  it('is 0 in the first epochs where it waits, and goes the same way in those that are left', () => {
    const waiting = { ...from2to1, without: 3, epochs: 8, betaShape: 'linear' } as const;
    const expected = [0, 0, 0, 2, 1.75, 1.5, 1.25, 1, 1];
    expect(expected.map((_, epoch) => distillationWeight(epoch, waiting))).toEqual(expected);
    const late = { ...from2to1, without: 4, betaShape: 'cosine' } as const;
    expect([3, 4, 5].map((epoch) => distillationWeight(epoch, late))).toEqual([0, 1, 1]);
  });
  it('of a single epoch is the last', () => {
    expect(distillationWeight(0, { ...from2to1, epochs: 1, betaShape: 'linear' })).toBe(1);
  });
});
