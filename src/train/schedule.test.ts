import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type CosineSchedule, learningRate, totalEpochs } from './schedule.js';

const PAPER: CosineSchedule = {
  lr: 5e-3,
  epochs: 100,
  warmupEpochs: 10,
  warmupLr: 1e-7,
  minLr: 1e-8,
  cooldownEpochs: 10,
};

/** Every value within 1e-12 of the expected one, relatively. */
function expectRates(actual: number[], expected: number[]): void {
  expect(actual.length).toBe(expected.length);
  actual.forEach((rate, epoch) => {
    expect(Math.abs(rate / expected[epoch]! - 1), `epoch ${epoch}`).toBeLessThanOrEqual(1e-12);
  });
}

describe('learningRate', () => {
  it('has the values of methods.md 7.2', () => {
    const expected = { 0: 1e-7, 1: 5.0009e-4, 9: 4.50001e-3, 10: 4.877641535e-3, 50: 2.500005e-3, 99: 1.243597e-6 };
    for (const [epoch, rate] of Object.entries(expected)) {
      expect(learningRate(Number(epoch), PAPER) / rate).toBeCloseTo(1, 6);
    }
  });

  it('stays at the minimum from the end of the cosine on', () => {
    for (const epoch of [100, 109, 110, 1000]) expect(learningRate(epoch, PAPER)).toBe(1e-8);
    expect(totalEpochs(PAPER)).toBe(110);
  });

  it('starts with the peak when there is no warm-up', () => {
    expect(learningRate(0, { ...PAPER, warmupEpochs: 0 })).toBe(5e-3);
  });

  const tablesPath = '../shared/reference/lr_schedule.json';
  const trajectoryPath = '../shared/reference/trajectory.json';
  const absent = existsSync(tablesPath) ? '' : ` (skipped: ${tablesPath} is absent)`;

  it.skipIf(absent)(`gives timm's own numbers in every epoch of three settings${absent}`, () => {
    const { tables } = JSON.parse(readFileSync(tablesPath, 'utf8'));
    expect(tables.length).toBe(3);
    for (const table of tables) {
      const schedule = {
        lr: table.base_lr,
        epochs: table.epochs,
        warmupEpochs: table.warmup_epochs,
        warmupLr: table.warmup_lr,
        minLr: table.min_lr,
        cooldownEpochs: table.cooldown_epochs,
      };
      expect(totalEpochs(schedule)).toBe(table.epochs_run);
      expectRates(
        table.lr_per_epoch.map((_: number, epoch: number) => learningRate(epoch, schedule)),
        table.lr_per_epoch,
      );
    }
  });

  it.skipIf(absent)(`gives the learning rates of the reference trajectory${absent}`, () => {
    const { lr, schedule: settings, steps_per_epoch: stepsPerEpoch } = JSON.parse(readFileSync(trajectoryPath, 'utf8'));
    const schedule = {
      lr: settings.lr,
      epochs: settings.epochs,
      warmupEpochs: settings.warmup_epochs,
      warmupLr: settings.warmup_lr,
      minLr: settings.min_lr,
      cooldownEpochs: 0,
    };
    expectRates(
      lr.map((_: number, step: number) => learningRate(Math.floor(step / stepsPerEpoch), schedule)),
      lr,
    );
  });
});
