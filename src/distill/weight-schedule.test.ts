import { describe, expect, it } from 'vitest';
import { distillationWeight } from './weight-schedule.js';

describe('the weight of the distillation loss', () => {
  const from2to1 = { beta: 2, betaEnd: 1, epochs: 5 };
  it.each([
    ['linear', [2, 1.75, 1.5, 1.25, 1, 1, 1]],
    ['cosine', [2, 2 - (1 - Math.SQRT1_2) / 2, 1.5, 1 + (1 - Math.SQRT1_2) / 2, 1, 1, 1]],
  ] as const)('goes %sly from the first to the last and stays there in the cooldown', (betaShape, expected) => {
    expected.forEach((weight, epoch) => {
      expect(distillationWeight(epoch, { ...from2to1, betaShape })).toBeCloseTo(weight, 12);
    });
  });
  it('of a single epoch is the last', () => {
    expect(distillationWeight(0, { ...from2to1, epochs: 1, betaShape: 'linear' })).toBe(1);
  });
});
