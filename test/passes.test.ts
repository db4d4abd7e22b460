/**
 * Every rewriting pass of the registry leaves losses, logits and gradients as they are: on random small models, each pass
 * taken away from all and added to none, in float64 and through the runtime in float32.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { blocks, imagesShape } from '../src/backbones/architecture.js';
import { crossEntropy, LOSSES, lossByName } from '../src/distill/index.js';
import { gradients } from '../src/graph/differentiate.js';
import { interpret } from '../src/graph/interpret.js';
import { add, input, mul, scale, stopGradient, sumAll } from '../src/graph/ops/index.js';
import {
  applyPasses,
  FINAL_PASSES,
  FOLDING_PASSES,
  FORWARD_PASSES,
  TRACE_PASSES,
  TRAINING_PASSES,
} from '../src/graph/passes/index.js';
import type { Tensor } from '../src/graph/tensor.js';
import { methodByName } from '../src/methods/index.js';
import { startRuntime } from '../src/runtime/node/start.js';
import type { Feed, Runtime } from '../src/runtime/runtime.js';
import { buildTrainStep } from '../src/step/train-step.js';
import { dropPathMultipliers } from '../src/train/drop-path.js';
import {
  alternating,
  drawFeeds,
  frozen,
  type Model,
  models,
  sharedWeights,
  specOf,
  trace,
  values,
} from './small-models.js';

/** What a step is made of: one model, or two and how one teaches the other. */
interface Case {
  readonly student: Model;
  readonly teacher: Model | null;
  readonly loss: string;
  readonly gradient: 'both' | 'student';
  readonly classes: number;
  /** Both models' frozen weights are the same tensors where names and shapes are. */
  readonly shared: boolean;
}

const cases: fc.Arbitrary<Case> = fc
  .record({
    student: models,
    teacher: fc.option(models, { freq: 3 }),
    loss: fc.constantFrom(...LOSSES.filter(({ reads }) => reads === 'logits').map(({ name }) => name)),
    gradient: fc.constantFrom('both' as const, 'student' as const),
    classes: fc.integer({ min: 2, max: 5 }),
    shared: fc.boolean(),
  })
  .map((c) =>
    c.shared && c.teacher ? { ...c, teacher: { ...c.teacher, config: c.student.config, blocks: c.student.blocks } } : c,
  )
  .filter(({ teacher }) => !teacher || methodByName(teacher.method).families.includes(teacher.config.family));

const ALL = [...TRACE_PASSES, ...FORWARD_PASSES, ...TRAINING_PASSES, ...FINAL_PASSES].map(({ name }) => name);
/** They store numbers they computed as float32: equal to seven digits, whatever the rest is computed in. */
const ROUNDING = [...FOLDING_PASSES, 'simplify'];
const EXACT = ALL.filter((name) => !ROUNDING.includes(name));

/** Pairs of what is switched off whose results must agree. */
const comparisons: readonly { pass: string; how: string; off: readonly string[]; against: readonly string[] }[] = [
  ...ALL.map((pass) => ({ pass, how: 'alone', off: ALL.filter((name) => name !== pass), against: ALL })),
  ...ALL.map((pass) => ({ pass, how: 'taken away', off: [pass], against: [] })),
  ...EXACT.map((pass) => ({ pass, how: 'taken from exact ones', off: [...ROUNDING, pass], against: ROUNDING })),
];

const B = 3;
const WEIGHTS = [0.5, 0.3, 0.2];
const ALPHA = 0.7;
const BETA = 1.3;
const TEMPERATURE = 5;

/** Calls `run` once for each choice of passes. */
function oncePerChoice<T>(run: (off: readonly string[]) => T): (off: readonly string[]) => T {
  const known = new Map<string, T>();
  return (off) => {
    const key = [...off].sort().join();
    if (!known.has(key)) known.set(key, run(off));
    return known.get(key)!;
  };
}

const largest = (data: ArrayLike<number>) => Array.from(data).reduce((most, v) => Math.max(most, Math.abs(v)), 0);

/** The largest difference, in units of `scale`. NaN where either is. */
const deviation = (found: ArrayLike<number>, expected: ArrayLike<number>, scale: number) =>
  Array.from(expected).reduce((most, v, i) => {
    const own = Math.abs(found[i]! - v) / scale;
    return Number.isNaN(own) || own > most ? own : most;
  }, 0);

describe('in float64', () => {
  /** A step's graph as train/step.ts builds it, its parameters left as they are. */
  function stepGraph(c: Case) {
    const weight = c.shared ? sharedWeights() : frozen;
    const options = { classes: c.classes, weight };
    const student = trace(c.student, B, { ...options, role: 'student.' });
    const teacher = c.teacher && trace(c.teacher, B, { ...options, role: 'teacher.' });
    const labels = input('labels', [B], 'int64');
    const weights = input('weights', [B]);
    const mean = (perImage: Tensor) => sumAll(mul(perImage, weights));
    const build = (off: readonly string[]): Tensor[] => {
      const rewritten = (logits: Tensor) =>
        applyPasses(FORWARD_PASSES, applyPasses(TRACE_PASSES, [logits], off), off)[0]!;
      const s = rewritten(student.logits);
      const outputs = [s];
      let total = mean(crossEntropy(s, labels));
      if (teacher) {
        const t = rewritten(teacher.logits);
        const taught = c.gradient === 'both' ? t : stopGradient(t);
        const distill = mean(lossByName(c.loss).perImage(s, taught, TEMPERATURE));
        const own = mean(crossEntropy(t, labels));
        total = add(add(total, scale(own, ALPHA)), scale(distill, BETA));
        outputs.push(t, own, distill);
      }
      const parameters = [...student.parameters, ...(teacher?.parameters ?? [])];
      return applyPasses(FINAL_PASSES, [...outputs, total, ...gradients(total, parameters)], off);
    };
    return { build, numbers: { ...student.numbers, ...teacher?.numbers, weights: WEIGHTS } };
  }

  it('every pass gives the same losses, logits and gradients', () => {
    fc.assert(
      fc.property(cases, (c) => {
        const { build, numbers } = stepGraph(c);
        const run = oncePerChoice((off) => interpret(build(off), numbers).map(({ data }) => data));
        for (const { pass, how, off, against } of comparisons) {
          const expected = run(against);
          const found = run(off);
          // a tensor whose gradient vanishes (attention's key bias) is all rounding: it is held against the others
          const floor = 1e-4 * Math.max(...expected.map(largest));
          const exact = ROUNDING.every((name) => off.includes(name));
          expect(found.length).toBe(expected.length);
          expected.forEach((data, i) => {
            const worst = deviation(found[i]!, data, Math.max(floor, largest(data)));
            expect(worst, `${pass} ${how}, output ${i}`).toBeLessThan(exact ? 1e-10 : 2e-6);
          });
        }
      }),
      { numRuns: 12 },
    );
  });
});

describe('in the runtime', () => {
  let runtime: Runtime;
  beforeAll(async () => {
    runtime = await startRuntime({ device: 'cpu', threads: 1 });
  });
  afterAll(() => runtime.close());

  it('every pass gives the same losses, logits and gradients', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async (c) => {
        const weight = c.shared ? sharedWeights() : frozen;
        const specs = {
          student: specOf(c.student, c.classes, weight),
          teacher: c.teacher && specOf(c.teacher, c.classes, weight),
        };
        const distillation = { loss: c.loss, temperature: TEMPERATURE, alpha: ALPHA, beta: BETA, gradient: c.gradient };
        const run = oncePerChoice(async (disable) => {
          const step = buildTrainStep({ ...specs, distillation, microBatch: B, disable });
          const session = await runtime.load(() => step.program);
          const feeds: Record<string, Feed> = {
            labels: BigInt64Array.from({ length: B }, (_, b) => BigInt(b % c.classes)),
            weights: Float32Array.from(WEIGHTS),
            ...drawFeeds(step, B),
          };
          for (const [i, role] of (['student', 'teacher'] as const).entries()) {
            const model = c[role];
            if (!model) continue;
            const depth = blocks(model.config).length;
            feeds[`${role}.images`] = values(imagesShape(model.config, B), 1 + i);
            feeds[`${role}.parameters`] = values([step[role]!.size], 2 + i, 0.2);
            feeds[`${role}.dropPath`] = dropPathMultipliers(depth, model.dropPath, B, alternating());
            feeds[`${role}.second.dropPath`] = feeds[`${role}.dropPath`]!; // of methods that pass over a batch twice
          }
          const found = await session.run(feeds);
          await session.close();
          return found;
        });
        for (const { pass, how, off, against } of comparisons.filter(({ how }) => how !== 'taken from exact ones')) {
          const expected = await run(against);
          const found = await run(off);
          expect(Object.keys(found)).toEqual(Object.keys(expected));
          for (const [name, numbers] of Object.entries(expected)) {
            // a loss near 0 is a difference of numbers near 1: one less a cosine, or two logarithms
            const scale = Math.max(name.startsWith('loss.') ? 1 : 1e-3, largest(numbers));
            const worst = deviation(found[name]!, numbers, scale);
            expect(worst, `${pass} ${how}, ${name}`).toBeLessThan(2e-5);
          }
        }
      }),
      { numRuns: 10 },
    );
  }, 120_000);
});
