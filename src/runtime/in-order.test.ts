import { expect, it } from 'vitest';
import { inOrder } from './in-order.js';

/** Runs that end when they are told to, in any order. */
function harness(items: number[], atOnce: number) {
  const begun: number[] = [];
  const ends = new Map<number, { resolve: (text: string) => void; reject: (error: Error) => void }>();
  const run = (item: number) => {
    begun.push(item);
    return new Promise<string>((resolve, reject) => ends.set(item, { resolve, reject }));
  };
  return { begun, ends, outcomes: inOrder(items, atOnce, run) };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

it('begins so many at once, and gives outcomes in the order of the items', async () => {
  const { begun, ends, outcomes } = harness([1, 2, 3, 4], 2);
  const first = outcomes.next();
  await settled();
  expect(begun).toEqual([1, 2]);
  ends.get(2)!.resolve('two');
  await settled();
  expect(begun).toEqual([1, 2]);
  ends.get(1)!.resolve('one');
  expect((await first).value).toEqual([1, 'one']);
  const second = outcomes.next();
  await settled();
  expect(begun).toEqual([1, 2, 3]);
  expect((await second).value).toEqual([2, 'two']);
  const rest = (async () => {
    const values: string[] = [];
    for await (const [, outcome] of outcomes) values.push(outcome);
    return values;
  })();
  await settled();
  for (const item of [4, 3]) ends.get(item)!.resolve(`${item}`);
  expect(await rest).toEqual(['3', '4']);
});

it('begins the next only when the last is over, with one at once', async () => {
  const { begun, ends, outcomes } = harness([1, 2], 1);
  const first = outcomes.next();
  await settled();
  expect(begun).toEqual([1]);
  ends.get(1)!.resolve('one');
  await first;
  expect(begun).toEqual([1]);
});

it('ends with the error of a run, when those beside it are over', async () => {
  const { begun, ends, outcomes } = harness([1, 2, 3], 2);
  const first = outcomes.next();
  let ended = false;
  const failed = expect(first)
    .rejects.toThrow('broken')
    .then(() => {
      ended = true;
    });
  await settled();
  ends.get(1)!.reject(new Error('broken'));
  await settled();
  expect(ended).toBe(false);
  ends.get(2)!.reject(new Error('broken as well'));
  await failed;
  expect(begun).toEqual([1, 2]);
});
