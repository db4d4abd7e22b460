/** Accuracies with what the number of images leaves open. */
import { describe, expect, it } from 'vitest';
import { fullAccuracy, shortAccuracy, worstClasses } from '../src/report/accuracy.js';
import { wilson } from '../src/statistics/index.js';

describe('the interval of Wilson', () => {
  // scipy 1.17: binomtest(correct, total).proportion_ci(0.95, method='wilson')
  it.each([
    [1, 5, 0.036224108632430196, 0.6244653702374747],
    [0, 10, 0, 0.27753279986288926],
    [10, 10, 0.7224672001371109, 1],
    [0, 1, 0, 0.7934506856227626],
    [12, 40, 0.18074845229746528, 0.45430018818144935],
    [1203, 1500, 0.7810734509739308, 0.8213836728710797],
    // Newcombe, Statistics in Medicine 17 (1998), Table I, method 3
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
  ])('of %i of %i', (correct, total, low, high) => {
    const found = wilson(correct, total);
    const digits = low === 0 || `${low}`.length > 8 ? 12 : 4;
    expect(found.low).toBeCloseTo(low, digits);
    expect(found.high).toBeCloseTo(high, digits);
  });

  it('ends at 0 and 1 exactly, for any total', () => {
    for (let total = 1; total < 200; total++) {
      expect(wilson(0, total).low).toBe(0);
      expect(wilson(total, total).high).toBe(1);
    }
  });
});

describe('in words', () => {
  it('is short in tables', () => {
    expect(shortAccuracy({ correct: 1203, total: 1500 })).toBe('80.2 % (78.1–82.1)');
  });

  it.each([
    [1203, 1500, '80.2 % (95 % interval 78.1–82.1), 1203 of 1500 test images'],
    [30, 40, '75.0 %, 30 of 40 test images: between 60 and 86 %, so it is known only roughly'],
    [1, 5, '20.0 %, 1 of 5 test images: between 4 and 62 %, so nearly nothing is known'],
  ])('%i of %i', (correct, total, words) => {
    expect(fullAccuracy({ correct, total }, 'test images')).toBe(words);
  });
});

describe('the worst classes', () => {
  const all = (byClass: { correct: number; total: number }[]) => ({
    byClass,
    correct: byClass.reduce((sum, { correct }) => sum + correct, 0),
    total: byClass.reduce((sum, { total }) => sum + total, 0),
  });

  it('are those whose intervals end below the whole, the worst first', () => {
    const counts = all([
      { correct: 20, total: 41 },
      { correct: 38, total: 40 },
      { correct: 12, total: 40 },
      { correct: 39, total: 40 },
      { correct: 30, total: 40 }, // its interval goes up to 86 %
    ]);
    const names = ['river', 'sea', 'for\x1best', 'road', 'crop'];
    expect(worstClasses(counts, names)).toBe('for\\u{1b}est 12 of 40, river 20 of 41');
  });

  it('are none of few images, nor where all are alike', () => {
    expect(
      worstClasses(
        all([
          { correct: 0, total: 1 },
          { correct: 1, total: 1 },
        ]),
        ['a', 'b'],
      ),
    ).toBe(null);
    expect(
      worstClasses(
        all([
          { correct: 30, total: 40 },
          { correct: 31, total: 40 },
        ]),
        ['a', 'b'],
      ),
    ).toBe(null);
  });

  it('are none where a class has no images or nobody counted', () => {
    expect(
      worstClasses(
        all([
          { correct: 30, total: 30 },
          { correct: 0, total: 0 },
        ]),
        ['a', 'b'],
      ),
    ).toBe(null);
    expect(worstClasses({ correct: 1, total: 100 }, ['a'])).toBe(null);
  });

  it('are five at most', () => {
    const counts = all([...Array.from({ length: 8 }, () => ({ correct: 0, total: 50 })), { correct: 900, total: 900 }]);
    expect(worstClasses(counts, [...'abcdefghi'])!.split(', ')).toHaveLength(5);
  });
});
