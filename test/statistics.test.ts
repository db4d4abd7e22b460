/** idat's statistics beside those of NumPy, SciPy, scikit-learn and statsmodels (tools/make-statistics). */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { vtabAverages } from '../src/paper/averages.js';
import { comparisonTable } from '../src/report/comparison.js';
import {
  type Answers,
  balancedAccuracy,
  bcaInterval,
  bootstrapInterval,
  calibration,
  classScores,
  comparePaired,
  compareWithHolm,
  confusionMatrix,
  groupedAverages,
  histogram,
  holm,
  macroF1,
  moments,
  normalCdf,
  normalQuantile,
  quantile,
  shareNearZero,
  signFlipTest,
  singleRunWarning,
  summarise,
  topAccuracy,
} from '../src/statistics/index.js';

type Pairs = [number, number][];
const fixture = JSON.parse(readFileSync(new URL('fixtures/statistics.json', import.meta.url), 'utf8')) as {
  summary: (Record<string, number> & { values: number[]; quantiles: Pairs })[];
  normal: { cdf: Pairs; quantile: Pairs };
  bca: { values: number[]; level: number; distribution: number[]; ofDistribution: number[]; ofMany: number[] }[];
  signFlip: { values: number[]; exact: boolean; p: number }[];
  holm: { ps: number[]; adjusted: number[] }[];
  classification: {
    classes: number;
    logits: number[];
    labels: number[];
    confusion: number[][];
    precision: (number | null)[];
    recall: (number | null)[];
    f1: (number | null)[];
    balanced: number;
    macroF1: number;
    top5: number;
    ece: number;
    mce: number;
    brier: number;
    negativeLogLikelihood: number;
  }[];
};

/** Equal but for rounding, relative to the expected. */
const near = (actual: number, expected: number, tolerance = 1e-12) =>
  expect(Math.abs(actual - expected), `${actual} beside ${expected}`).toBeLessThanOrEqual(
    tolerance * Math.max(Math.abs(expected), 1e-300),
  );
const allNear = (actual: readonly (number | null)[], expected: readonly (number | null)[]) => {
  expect(actual.map((value) => value === null)).toEqual(expected.map((value) => value === null));
  actual.forEach((value, i) => {
    if (value !== null) near(value, expected[i]!);
  });
};

describe.each(fixture.summary)('a sample of $values.length', ({ values, quantiles, ...expected }) => {
  it('has NumPy’s mean, deviation, median, range and quantiles', () => {
    const { n, mean, std, median, range, lowest, highest } = summarise(values);
    expect(n).toBe(values.length);
    near(mean, expected.mean!);
    near(std!, expected.std!);
    near(median, expected.median!);
    near(range, expected.range!);
    expect([lowest, highest]).toEqual([Math.min(...values), Math.max(...values)]);
    const sorted = [...values].sort((a, b) => a - b);
    for (const [share, value] of quantiles) near(quantile(sorted, share), value);
  });
  it('has SciPy’s skewness and kurtosis', () => {
    const { std, skewness, excessKurtosis } = moments(values);
    near(std, expected.populationStd!);
    expect(skewness).toBeCloseTo(expected.skewness!, 11);
    expect(excessKurtosis).toBeCloseTo(expected.excessKurtosis!, 11);
  });
});

describe('a single value', () => {
  it('has no deviation and no interval, and a table of such says so', () => {
    expect(summarise([3])).toEqual({ n: 1, mean: 3, std: null, median: 3, lowest: 3, highest: 3, range: 0 });
    expect(bootstrapInterval([3])).toBe(null);
    expect(singleRunWarning(1)).toMatch(/n = 1/);
    expect(singleRunWarning(2)).toBe(null);
  });
  it('has no shape', () => {
    expect(moments([2, 2, 2])).toMatchObject({ std: 0, skewness: null, excessKurtosis: null });
  });
});

describe('the normal distribution', () => {
  it('is SciPy’s, in the tails too', () => {
    for (const [z, p] of fixture.normal.cdf) near(normalCdf(z), p, 1e-12);
  });
  it('has SciPy’s quantiles', () => {
    for (const [p, z] of fixture.normal.quantile) expect(normalQuantile(p)).toBeCloseTo(z, 8);
    expect([normalQuantile(0), normalQuantile(1), normalQuantile(-1)]).toEqual([-Infinity, Infinity, Number.NaN]);
  });
});

describe.each(fixture.bca)('the BCa interval of $values.length values', (one) => {
  it('is SciPy’s, given the same resampled means', () => {
    const { low, high } = bcaInterval(one.values, one.distribution, one.level);
    near(low, one.ofDistribution[0]!, 1e-9);
    near(high, one.ofDistribution[1]!, 1e-9);
  });
  it('comes near SciPy’s with samples of its own, the same for the same seed', () => {
    const options = { level: one.level, resamples: 50_000, seed: 3 };
    const interval = bootstrapInterval(one.values, options)!;
    const width = one.ofMany[1]! - one.ofMany[0]!;
    expect(Math.abs(interval.low - one.ofMany[0]!)).toBeLessThan(0.02 * width);
    expect(Math.abs(interval.high - one.ofMany[1]!)).toBeLessThan(0.02 * width);
    expect(bootstrapInterval(one.values, options)).toEqual(interval);
    expect(bootstrapInterval(one.values, { ...options, seed: 4 })).not.toEqual(interval);
  });
});

describe('the BCa interval', () => {
  it('of equal values is that value', () => {
    expect(bootstrapInterval([2, 2, 2])).toEqual({ low: 2, high: 2, level: 0.95 });
  });
});

describe.each(fixture.signFlip)('the sign-flip test of $values.length differences', ({ values, exact, p }) => {
  it('has SciPy’s p', () => {
    const test = signFlipTest(values, { samples: 200_000 });
    expect(test.exact).toBe(exact);
    if (exact) near(test.p, p);
    else expect(Math.abs(test.p - p)).toBeLessThan(0.005);
  });
});

describe.each(fixture.holm)('Holm’s p of $ps', ({ ps, adjusted }) => {
  it('is statsmodels’', () => allNear(holm(ps), adjusted));
});

describe('paired differences', () => {
  const first = [
    { task: 'a', seed: 1, value: 0.5 },
    { task: 'a', seed: 2, value: 0.6 },
    { task: 'b', seed: 1, value: 0.1 },
    { task: 'c', seed: 1, value: 0.9 },
  ];
  const second = [
    { task: 'b', seed: 1, value: 0.5 },
    { task: 'a', seed: 2, value: 0.7 },
    { task: 'a', seed: 1, value: 0.8 },
    { task: 'c', seed: 2, value: 0 },
  ];
  it('are taken where both have task and seed, in whatever order', () => {
    const { tasks, pairs, differences, summary, test } = comparePaired(first, second);
    expect([tasks, pairs]).toEqual([2, 3]);
    expect(differences.map(({ task, seed }) => `${task}${seed}`)).toEqual(['b1', 'a2', 'a1']);
    near(summary.mean, (0.4 + 0.1 + 0.3) / 3);
    expect(test).toEqual({ p: 2 / 8, exact: true, assignments: 8 });
  });
  it('of tasks are means over seeds', () => {
    const { differences, summary, unit } = comparePaired(first, second, { unit: 'task' });
    expect(unit).toBe('task');
    expect(differences.map(({ task, seed }) => [task, seed])).toEqual([
      ['b', null],
      ['a', null],
    ]);
    near(summary.mean, (0.4 + 0.2) / 2);
  });
  it('refuse to compare what has nothing in common, or twice the same', () => {
    expect(() => comparePaired(first, [])).toThrow('nothing to compare: no task and seed is in both');
    expect(() => comparePaired([...first, first[0]!], second)).toThrow('the first has task a with seed 1 twice');
  });
  it('of several against one carry Holm’s p', () => {
    const { x, y } = compareWithHolm(first, { x: second, y: first.map((one) => ({ ...one, value: one.value + 0.1 })) });
    expect([x.test.p, y.test.p]).toEqual([0.25, 0.125]);
    expect([x.holmP, y.holmP]).toEqual([0.25, 0.25]);
  });
});

describe('averages over grouped tasks', () => {
  it('are over tasks, and over groups', () => {
    const tasks = [
      { group: 'natural', value: 1 },
      { group: 'natural', value: 3 },
      { group: 'structured', value: 8 },
    ];
    expect(groupedAverages(tasks)).toEqual({ flat: 4, byGroup: 5, groups: { natural: 2, structured: 8 } });
  });
});

describe.each(fixture.classification)('$labels.length answers among $classes classes', (one) => {
  const answers: Answers = { classes: one.classes, logits: Float32Array.from(one.logits), labels: one.labels };
  const confusion = confusionMatrix(answers);
  const scores = classScores(confusion);
  it('have scikit-learn’s confusion matrix, precision, recall and F1', () => {
    expect(confusion).toEqual(one.confusion);
    allNear(
      scores.map(({ precision }) => precision),
      one.precision,
    );
    allNear(
      scores.map(({ recall }) => recall),
      one.recall,
    );
    allNear(
      scores.map(({ f1 }) => f1),
      one.f1,
    );
    near(balancedAccuracy(scores), one.balanced);
    near(macroF1(scores), one.macroF1);
    near(topAccuracy(answers, 5), one.top5);
  });
  it('have the calibration error of its definition, scikit-learn’s log loss, and the Brier score', () => {
    const { ece, mce, brier, negativeLogLikelihood, bins } = calibration(answers);
    near(ece, one.ece, 1e-10);
    near(mce, one.mce, 1e-10);
    near(brier, one.brier, 1e-10);
    near(negativeLogLikelihood, one.negativeLogLikelihood, 1e-10);
    expect(bins.reduce((sum, { count }) => sum + count, 0)).toBe(one.labels.length);
  });
});

describe('of equal logits', () => {
  it('the first class is the answer, and comes first among five', () => {
    const answers = { classes: 3, logits: new Float32Array(6), labels: [0, 2] };
    expect(confusionMatrix(answers)).toEqual([
      [1, 0, 0],
      [0, 0, 0],
      [1, 0, 0],
    ]);
    expect([1, 2, 3].map((k) => topAccuracy(answers, k))).toEqual([0.5, 0.5, 1]);
  });
});

describe('histograms', () => {
  it('count everything once, what lies outside in the outermost bins', () => {
    expect(histogram([-5, 0, 0.24, 0.25, 0.99, 1, 7], 0, 1, 4)).toEqual([3, 1, 0, 3]);
    expect(shareNearZero([-0.1, 0.1, 0.11, 5], 0.1)).toBe(0.5);
  });
});

describe('VTAB’s averages', () => {
  it('are of all tasks and of the three groups, as Table 3 and other papers print them', () => {
    const { flat, byGroup, groups } = vtabAverages({ cifar100: 60, dtd: 70, eurosat: 90, kitti: 50 });
    expect([flat, byGroup]).toEqual([67.5, (65 + 90 + 50) / 3]);
    expect(groups).toEqual({ natural: 65, specialised: 90, structured: 50 });
  });
});

describe('a table of a comparison', () => {
  const runs = (accuracies: number[]) =>
    accuracies.map((accuracy) => ({ accuracy, protocol: 'last', total: 10 }) as never);
  const names = { alone: 'parallel', taught: 'iDAT-P-kl' };
  it('warns where one run stands behind each number', () => {
    const table = comparisonTable({ names, tasks: [{ data: 'pets', alone: runs([0.5]), taught: runs([0.6]) }] });
    expect(table.split('\n').at(-1)).toBe(singleRunWarning(1));
  });
  it('tells otherwise what the differences come to', () => {
    const task = { data: 'pets', alone: runs([0.5, 0.5, 0.5]), taught: runs([0.6, 0.5, 0.55]) };
    const last = comparisonTable({ names, tasks: [task] })
      .split('\n')
      .at(-1)!;
    expect(last).toMatch(/^Difference over all 3 pairs: \+5\.0, 95 % interval \+0\.0 to \+\d+\.\d .*p = 0\.500\.$/);
  });
});
