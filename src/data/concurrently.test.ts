import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { eachConcurrently } from './concurrently.js';

test('every index once, never more at a time than allowed', async () => {
  const seen: number[] = [];
  let running = 0;
  let most = 0;
  await eachConcurrently(20, 3, undefined, async (index) => {
    most = Math.max(most, ++running);
    await sleep(index % 3);
    seen.push(index);
    running--;
  });
  expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i));
  expect(most).toBe(3);
});

test('an error ends it when what was started has ended, and starts nothing new', async () => {
  const started: number[] = [];
  let running = 0;
  const work = eachConcurrently(50, 4, undefined, async (index) => {
    started.push(index);
    running++;
    await sleep(index === 2 ? 1 : 20);
    running--;
    if (index === 2) throw new Error('two');
  });
  await expect(work).rejects.toThrow('two');
  expect(running).toBe(0);
  expect(started).toEqual([0, 1, 2, 3]);
});

test('an abort throws its reason', async () => {
  const controller = new AbortController();
  const reason = new Error('enough');
  let started = 0;
  const work = eachConcurrently(1000, 2, controller.signal, async () => {
    if (++started === 5) controller.abort(reason);
    await sleep(1);
  });
  await expect(work).rejects.toBe(reason);
  expect(started).toBeLessThan(8);
  await expect(eachConcurrently(1, 1, controller.signal, async () => {})).rejects.toBe(reason);
});
