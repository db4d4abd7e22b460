/** Weights of a whole byte where their products are exact, of half of it where they overflow; a run keeps what it began with. */
import { expect, it } from 'vitest';
import type { Int8Largest } from '../src/graph/passes/quantise-frozen.js';
import { largestInt8 } from '../src/runtime/check-int8.js';
import { startRuntime } from '../src/runtime/node/start.js';
import type { Compile, Runtime } from '../src/runtime/runtime.js';
import { parseConfig } from '../src/settings/config.js';
import { planOf, planOfRun } from '../src/settings/plan.js';
import type { Resolved } from '../src/settings/record.js';
import { int8Record, withInt8Range, withInt8RangeHere } from '../src/train/int8-range.js';

const RIGHT = { y127: 64 * 127 * 255, y63: 64 * 63 * 255 };
/** 32 pairs, each cut off at the largest 16-bit number. */
const CUT_OFF = 32 * 32767;

const answering = (y127: number, y63: number) => {
  const outputs = { y127: Float32Array.of(y127), y63: Float32Array.of(y63) };
  return { load: async () => ({ run: async () => outputs, close: async () => {} }) } as never as Runtime;
};
const exact = answering(RIGHT.y127, RIGHT.y63);
const overflowing = answering(CUT_OFF, RIGHT.y63);

it('takes whole bytes where their product is right, half of them where it was cut off, none where both are wrong', async () => {
  expect(await largestInt8(exact)).toBe(127);
  expect(await largestInt8(overflowing)).toBe(63);
  await expect(largestInt8(answering(CUT_OFF, CUT_OFF))).rejects.toThrow(
    /8-bit products are wrong .* in float32 are exact/,
  );
});

it('asks the runtime for those products', async () => {
  const runtime = await startRuntime({ device: 'cpu', threads: 1 });
  let found: Record<string, Float32Array> = {};
  const spied: Runtime = {
    ...runtime,
    load: (async (compile: Compile) => {
      const session = await runtime.load(compile);
      return {
        ...session,
        run: async (feeds) => {
          found = await session.run(feeds);
          return found;
        },
      };
    }) as Runtime['load'],
  };
  await largestInt8(spied);
  await runtime.close();
  expect([RIGHT.y127, CUT_OFF]).toContain(found.y127![0]);
  expect(found.y63![0]).toBe(RIGHT.y63);
});

const settings = parseConfig({ data: 'x', frozen: 'int8' });
const planned = planOf(settings);
const planBegunWith = (int8Largest?: Int8Largest) => planOfRun({ settings, resolved: { int8Largest } as Resolved });

it('a new run takes what its processor can, and one that goes on keeps to what it began with', async () => {
  expect(int8Record(await withInt8Range(planned, exact))).toEqual({ int8Largest: 127 });
  expect(int8Record(await withInt8Range(planned, overflowing))).toEqual({ int8Largest: 63 });
  expect(int8Record(await withInt8Range(planBegunWith(63), exact))).toEqual({ int8Largest: 63 });
  // runs of versions that refused such processors
  expect(int8Record(await withInt8Range(planBegunWith(), exact))).toEqual({ int8Largest: 127 });
  await expect(withInt8Range(planBegunWith(), overflowing)).rejects.toThrow(
    "the run's 8-bit weights reach ±127, and products of more than ±63 overflow on this processor",
  );
});

it('a run is looked at in its own range, or told to be in a narrower one', async () => {
  const notes: string[] = [];
  const rangeOf = async (plan: typeof planned, runtime: Runtime) =>
    (await withInt8RangeHere(plan, runtime, (text) => notes.push(text))).compile.int8Largest;
  expect(await rangeOf(planBegunWith(63), exact)).toBe(63);
  expect(await rangeOf(planBegunWith(127), exact)).toBe(127);
  expect(await rangeOf(planBegunWith(63), overflowing)).toBe(63);
  expect(notes).toEqual([]);
  expect(await rangeOf(planBegunWith(127), overflowing)).toBe(63);
  expect(notes).toEqual([expect.stringMatching(/rounded to ±63.*trained with ±127/)]);
});

it('knows nothing of 8 bits in float32', async () => {
  const float = planOf(parseConfig({ data: 'x' }));
  const never = {} as Runtime;
  expect(await withInt8Range(float, never)).toBe(float);
  expect(await withInt8RangeHere(float, never)).toBe(float);
  expect(int8Record(float)).toEqual({});
});
