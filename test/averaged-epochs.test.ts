/** The mean of the parameters after the last epochs, and distillation that begins after some. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startRuntime } from '../src/runtime/node/start.js';
import type { Runtime } from '../src/runtime/runtime.js';
import type { FineTuneInput } from '../src/settings/config.js';
import { parseConfig } from '../src/settings/config.js';
import { keptParameters, type TrainState, takeIntoAverage } from '../src/train/state.js';
import { memoryStore } from '../src/train/store.js';
import { expectExactResume, trainInMemory } from './memory-run.js';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await startRuntime({ device: 'cpu', threads: 1 });
});
afterAll(() => runtime.close());

const settings = { epochs: 4, cooldownEpochs: 1, warmupEpochs: 1, lr: 0.02 } as const;

/** The student's parameters after each epoch, and how the run ended. */
async function followed(more: Partial<FineTuneInput>) {
  const store = memoryStore();
  const after: Float32Array[] = [];
  const save: typeof store.save = (saved) => {
    after.push(saved.state.student.parameters.slice());
    return store.save(saved);
  };
  return { after, ...(await trainInMemory(runtime, { ...settings, ...more }, { ...store, save })) };
}

describe('averaged epochs', () => {
  it('keep the mean of the student’s parameters after each of the last, and change nothing of training', async () => {
    const { after, state } = await followed({ averageEpochs: 3 });
    expect(after).toHaveLength(5);
    const kept = keptParameters(state, 'student')!;
    let worst = 0;
    for (let i = 0; i < kept.length; i++) {
      const mean = (after[2]![i]! + after[3]![i]! + after[4]![i]!) / 3;
      worst = Math.max(worst, Math.abs(kept[i]! - mean));
    }
    expect(worst).toBeLessThan(1e-7);
    expect(kept).not.toEqual(state.student.parameters);
    const plain = await followed({});
    expect(state.student).toEqual(plain.state.student);
    expect(state.metrics).toEqual(plain.state.metrics);
    expect(keptParameters(state, 'teacher')).toEqual(plain.state.teacher!.parameters);
    expect(plain.state.average).toBe(null);
  });

  it('leave a number that did not change as it is', () => {
    const parameters = Float32Array.of(0.1, 1 / 3);
    const state = { student: { parameters }, average: null } as unknown as TrainState;
    for (let epoch = 0; epoch < 7; epoch++) takeIntoAverage(state);
    expect(state.average).toEqual({ epochs: 7, student: parameters });
  });

  it.each(['last', 'val'] as const)('end with the same numbers after being stopped anywhere: %s', async (protocol) => {
    const { state } = await expectExactResume(runtime, { ...settings, protocol, averageEpochs: 3 }, (steps) => [
      ...[1, steps - 7, steps - 4, steps - 1],
    ]);
    const epochs = state.metrics.filter(({ phase }) => phase === 'final').length;
    expect(state.average!.epochs).toBe(Math.min(3, epochs)); // the best on val may come before three are over
  });

  it('are refused where they mean nothing', () => {
    const parse = (more: Partial<FineTuneInput>) => () => parseConfig({ data: 'none', epochs: 4, ...more });
    expect(parse({ averageEpochs: 5 })).toThrow('averageEpochs: expected at most the 4 epochs there are, got 5');
    expect(parse({ averageEpochs: 2, protocol: 'paper' })).toThrow(/averageEpochs: protocol paper keeps .*; choose/);
  });
});

describe('a teacher’s warm-up', () => {
  it('is training without distillation, which begins after it', async () => {
    const one = await followed({ teacherWarmupEpochs: 2 });
    const without = await followed({ beta: 0, betaEnd: 0 });
    expect(one.after[1]).toEqual(without.after[1]);
    expect(one.after[2]).not.toEqual(without.after[2]);
    const losses = ({ state }: typeof one) => state.metrics.map(({ loss }) => loss.total - loss.student - loss.teacher);
    expect(
      losses(one)
        .slice(0, 2)
        .map((loss) => Math.abs(loss) < 1e-6),
    ).toEqual([true, true]);
    for (const [epoch, distilled] of losses(one).entries()) {
      if (epoch >= 2) expect(distilled).toBeCloseTo(one.state.metrics[epoch]!.loss.distill, 5);
    }
  });

  it('ends with the same numbers after being stopped', async () => {
    const more = { ...settings, teacherWarmupEpochs: 2, betaEnd: 3 };
    await expectExactResume(runtime, more, (steps) => [5, 6, 7, steps - 1]);
  });

  it('is refused where it would never end, and where there is no teacher', () => {
    const parse = (more: Partial<FineTuneInput>) => () => parseConfig({ data: 'none', epochs: 4, ...more });
    expect(parse({ teacher: 't', teacherWarmupEpochs: 4 })).toThrow(
      /expected fewer than the 4 epochs there are, got 4/,
    );
    expect(parse({ teacherWarmupEpochs: 2 })).toThrow(/teacherWarmupEpochs: means something only where a teacher/);
  });
});
