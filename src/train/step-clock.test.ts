import { describe, expect, it } from 'vitest';
import { type ClockPlan, stepClock } from './step-clock.js';

const PLAN: ClockPlan = {
  ...{ from: { epoch: 0, step: 0 }, epochs: 4, steps: 10, batchSize: 5 },
  tokens: { drop: 0, fullEpochs: 0 },
};

/** The pace after each step, the steps taking so many seconds. */
function paces(plan: ClockPlan, seconds: readonly number[]) {
  let at = 1000;
  const tick = stepClock(plan, () => at);
  return seconds.map((duration) => {
    at += 1000 * duration;
    return tick();
  });
}

describe('the pace of training', () => {
  it('is images a second, and the time the other steps take', () => {
    expect(paces(PLAN, [2, 2, 2]).at(-1)).toEqual({ imagesPerSecond: 2.5, secondsLeft: 74 });
    expect(paces(PLAN, Array(40).fill(2)).at(-1)).toMatchObject({ secondsLeft: 0 });
  });

  it('goes on from where a run was stopped', () => {
    expect(paces({ ...PLAN, from: { epoch: 3, step: 7 } }, [2])[0]).toEqual({ imagesPerSecond: 2.5, secondsLeft: 4 });
  });

  it('forgets what is more than a minute ago', () => {
    const slow = paces(PLAN, [300, ...Array(29).fill(1)]).at(-1)!;
    expect(slow.imagesPerSecond).toBeCloseTo((30 * 5) / 329);
    const forgotten = paces(PLAN, [300, ...Array(15).fill(5)]).at(-1)!;
    expect(forgotten).toEqual({ imagesPerSecond: 1, secondsLeft: 24 * 5 });
  });

  it('tells the time of a step that is longer than that', () => {
    expect(paces(PLAN, [90, 100, 120]).at(-1)!.secondsLeft).toBeCloseTo(37 * 120);
  });

  it('reckons with more work where no patches are left out', () => {
    const plan = { ...PLAN, tokens: { drop: 0.5, fullEpochs: 1 } };
    expect(paces(plan, [1])[0]!.secondsLeft).toBe(29 + 20);
    const across = paces(plan, [...Array(30).fill(1), 2, 2]);
    expect(across[29]!.secondsLeft).toBe(20);
    expect(across[31]!.secondsLeft).toBe(16);
  });
});
