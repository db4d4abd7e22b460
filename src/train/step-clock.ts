/**
 * How fast training goes, and how long the rest will take.
 */

import type { TokenPlan } from '../settings/plan.js';

/** Long enough to smooth steps over, short enough to forget a disturbed or a costly first minute. */
const WINDOW_MS = 60_000;

export interface ClockPlan {
  /** The first step to come. */
  readonly from: { readonly epoch: number; readonly step: number };
  readonly epochs: number;
  /** In each epoch. */
  readonly steps: number;
  /** Images in each. */
  readonly batchSize: number;
  /** Where patches are left out, the last epochs with all of them take so much longer. */
  readonly tokens: TokenPlan;
}

export interface Pace {
  readonly imagesPerSecond: number;
  readonly secondsLeft: number;
}

/** Called after each step, in order, it tells the pace of the last minute's steps. @param now milliseconds */
export function stepClock(plan: ClockPlan, now: () => number = () => performance.now()): () => Pace {
  const { from, epochs, steps, batchSize, tokens } = plan;
  const wholeFrom = (epochs - tokens.fullEpochs) * steps;
  const wholeWork = 1 / (1 - tokens.drop);
  /** Work of the first so many steps of the run, in steps with patches left out. */
  const work = (step: number) => Math.min(step, wholeFrom) + Math.max(0, step - wholeFrom) * wholeWork;
  const end = work(epochs * steps);
  let step = from.epoch * steps + from.step;
  const ticks = [{ at: now(), step }];
  return () => {
    const at = now();
    step++;
    ticks.push({ at, step });
    while (ticks.length > 2 && ticks[1]!.at <= at - WINDOW_MS) ticks.shift();
    const then = ticks[0]!;
    const seconds = (at - then.at) / 1000;
    return {
      imagesPerSecond: ((step - then.step) * batchSize) / seconds,
      secondsLeft: (seconds / (work(step) - work(then.step))) * (end - work(step)),
    };
  };
}
