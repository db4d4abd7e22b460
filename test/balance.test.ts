/** Classes of unequally many images made to count alike, by drawing and by weights. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { balancedOrder, classWeights, copiesBefore } from '../src/data/balance.js';
import { randomStream } from '../src/random.js';
import { startRuntime } from '../src/runtime/node/start.js';
import type { Runtime } from '../src/runtime/runtime.js';
import type { FineTuneInput } from '../src/settings/config.js';
import { type Call, epochBatches } from '../src/train/batches.js';
import { withSplits } from '../src/train/protocol.js';
import type { Pixels } from '../src/train/splits.js';
import { keptParameters } from '../src/train/state.js';
import { batchGradients } from '../src/train/update-step.js';
import { both, CLASSES, compileInMemory, expectExactResume, imagesInMemory, trainInMemory } from './memory-run.js';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await startRuntime({ device: 'cpu', threads: 1 });
});
afterAll(() => runtime.close());

const UNEQUAL = [...Array<number>(20).fill(0), ...Array<number>(6).fill(1), ...Array<number>(4).fill(2)];
const countsOf = (values: readonly number[]) => {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
};

describe('a balanced order', () => {
  const order = (epoch: number, labels = UNEQUAL) => balancedOrder(labels, randomStream(1, 'test', epoch));

  it('has as many images as there are, equally many of each class', () => {
    const classes = countsOf(order(0).map((image) => UNEQUAL[image]!));
    expect([...classes].sort()).toEqual([0, 1, 2].map((label) => [label, 10]));
    const odd = [...UNEQUAL, 0, 0];
    for (let epoch = 0; epoch < 20; epoch++) {
      const counts = [...countsOf(order(epoch, odd).map((image) => odd[image]!)).values()];
      expect(counts.sort()).toEqual([10, 11, 11]);
    }
  });

  it('takes all of a class before it takes one again, and others of a large class in each epoch', () => {
    const seen = new Set<number>();
    for (let epoch = 0; epoch < 10; epoch++) {
      const times = countsOf(order(epoch));
      for (let image = 0; image < 30; image++) {
        const expected = [
          [0, 1],
          [1, 2],
          [2, 3],
        ][UNEQUAL[image]!]!;
        expect(expected).toContain(times.get(image) ?? 0);
      }
      for (const image of times.keys()) seen.add(image);
    }
    expect(seen.size).toBe(30);
  });

  it('is the same for the same stream and another for another', () => {
    expect(order(3)).toEqual(order(3));
    expect(order(3)).not.toEqual(order(4));
  });

  it('tells how often an image has come before', () => {
    expect(copiesBefore([4, 2, 4, 4, 2])).toEqual([0, 0, 1, 2, 1]);
  });
});

describe('class weights', () => {
  it('are the inverse frequencies, of mean 1 over the images', () => {
    const weights = classWeights(UNEQUAL);
    expect([0, 1, 2].map((label) => weights.get(label))).toEqual([30 / 60, 30 / 18, 30 / 12]);
    const sum = UNEQUAL.reduce((all, label) => all + weights.get(label)!, 0);
    expect(sum / UNEQUAL.length).toBeCloseTo(1, 12);
    expect(classWeights([5, 5, 7]).get(7)).toBe(1.5); // classes without images do not count
  });
});

const pixels = (salt: string, brighter = 80): Pixels => {
  const trainval = both(imagesInMemory(UNEQUAL.length, `${salt} trainval`, UNEQUAL, brighter));
  const test = both(
    imagesInMemory(
      60,
      `${salt} test`,
      Array.from({ length: 60 }, (_, i) => i % CLASSES),
      brighter,
    ),
  ); // balanced
  return { train: trainval, val: test, trainval, test };
};

/** Losses and gradients of the first batch of an epoch. */
async function firstBatch(settings: Partial<FineTuneInput>, microBatch: number) {
  const { plan, compiled } = await compileInMemory(runtime, { batchSize: 10, ...settings }, microBatch);
  const { models, steps } = compiled;
  const { session, draws } = steps.somePatches;
  const calls: Call[] = [];
  await withSplits({ plan, compiled, pixels: pixels('a'), prefixFiles: null, control: {} }, async (splits) => {
    const specs = { student: models.student.spec, teacher: compiled.models.teacher?.spec ?? null };
    const shape = {
      draws,
      batchSize: plan.batch.size,
      microBatch,
      augmentation: plan.augmentation,
      balance: plan.balance,
    };
    const data = await splits.training('trainval');
    const epoch = { data, models: specs, ...shape, seed: 1, phase: 'final' as const, epoch: 0, firstStep: 0 };
    for await (const call of epochBatches(epoch)) {
      calls.push(call);
      if (call.last) break;
    }
  });
  const parameters = {
    student: { parameters: models.student.layout.initial(1, 'student') },
    teacher: models.teacher && { parameters: models.teacher.layout.initial(1, 'teacher') },
  };
  const run = (some: readonly Call[]) => batchGradients(session, some, parameters);
  return { calls, run, outcome: await run(calls) };
}

const expectClose = (actual: ArrayLike<number>, expected: ArrayLike<number>) => {
  const scale = Math.max(...Array.from(expected, Math.abs));
  expect(Math.max(...Array.from(actual, (value, i) => Math.abs(value - expected[i]!))) / scale).toBeLessThan(1e-5);
};

describe('a weighted batch', () => {
  it('is the sum over its images of weight/B times the image’s own losses and gradients, in every term', async () => {
    const { calls, run, outcome } = await firstBatch({ balance: 'weights', distill: 'kl' }, 1);
    const weights = classWeights(UNEQUAL);
    const sum = { student: new Float64Array(outcome.gradients.student.length), total: 0, distill: 0, teacher: 0 };
    for (const call of calls) {
      const single = await run([{ ...call, feeds: { ...call.feeds, weights: Float32Array.of(1) } }]);
      const share = weights.get(Number(call.labels[0]))! / 10;
      single.gradients.student.forEach((g, i) => {
        sum.student[i]! += share * g;
      });
      for (const name of ['total', 'distill', 'teacher'] as const) sum[name] += share * single.losses[name];
    }
    expect(new Set(calls.map(({ labels }) => labels[0])).size).toBeGreaterThan(1);
    expectClose(outcome.gradients.student, sum.student);
    for (const name of ['total', 'distill', 'teacher'] as const) expect(outcome.losses[name]).toBeCloseTo(sum[name], 5);
  });

  it.each(['weights', 'sampling'] as const)('is the same however it is cut: %s', async (balance) => {
    const settings = { balance, flip: true, cropPadding: 2, dropTokens: 0.5, dropPath: 0.3 };
    const whole = await firstBatch(settings, 10);
    for (const microBatch of [1, 4]) {
      const { outcome } = await firstBatch(settings, microBatch);
      expect(outcome.correct).toEqual(whole.outcome.correct);
      for (const role of ['student', 'teacher'] as const)
        expectClose(outcome.gradients[role]!, whole.outcome.gradients[role]!);
    }
  });
});

it('an image that comes again in an epoch is changed in another way', async () => {
  const settings = { balance: 'sampling', flip: true, cropPadding: 3, trivialAugment: true, dropTokens: 0.5 } as const;
  const { calls } = await firstBatch({ ...settings, batchSize: 30 }, 1);
  const order = balancedOrder(UNEQUAL, randomStream(1, 'balanced order', 'final', 0));
  const again = [...copiesBefore(order).entries()].filter(([, copy]) => copy > 0).map(([at]) => at);
  expect(again.length).toBeGreaterThan(5);
  for (const input of ['student.images', 'student.keptPatches']) {
    const alike = again.filter((at) => {
      const [one, other] = [calls[order.indexOf(order[at]!)]!, calls[at]!].map(({ feeds }) => String(feeds[input]));
      return one === other;
    });
    expect(alike.length).toBeLessThan(again.length / 2); // some are by chance
  }
});

describe.each(['sampling', 'weights'] as const)('balance %s', (balance) => {
  it.each(['last', 'val'] as const)(
    'ends with the same numbers after being stopped, by protocol %s',
    async (protocol) => {
      const settings = { balance, protocol, epochs: 2, cooldownEpochs: 0, dropPath: 0.1 };
      await expectExactResume(runtime, settings, (steps) => [2, steps - 2], { pixels: pixels('a') });
    },
  );

  it('gives the same with and without a frozen prefix', async () => {
    const settings = { balance, epochs: 1, cooldownEpochs: 0, warmupEpochs: 0 };
    const one = await trainInMemory(runtime, settings, undefined, { pixels: pixels('a') });
    const other = await trainInMemory(runtime, { ...settings, disable: ['frozen-prefix'] }, undefined, {
      pixels: pixels('a'),
    });
    expect(one.state.metrics[0]!.loss.total).toBeCloseTo(other.state.metrics[0]!.loss.total, 4);
  });

  it('makes all classes of an imbalanced toy right more often', async () => {
    const rare = [...Array<number>(54).fill(0), 1, 1, 1, 2, 2, 2];
    const hard: Pixels = {
      trainval: both(imagesInMemory(60, 'rare', rare, 25)),
      test: both(
        imagesInMemory(
          90,
          'even',
          Array.from({ length: 90 }, (_, i) => i % CLASSES),
          25,
        ),
      ),
    };
    const settings = { teacher: null, method: 'linear', epochs: 20, cooldownEpochs: 0, lr: 0.01, batchSize: 12 };
    const run = (more: Partial<FineTuneInput>) =>
      trainInMemory(runtime, { ...settings, ...more }, undefined, { pixels: hard });
    const [plain, balanced] = [await run({}), await run({ balance })];
    expect(balanced.result.accuracy).toBeGreaterThan(plain.result.accuracy + 0.15);
    expect(keptParameters(balanced.state, 'student')).not.toEqual(keptParameters(plain.state, 'student'));
  });
});
