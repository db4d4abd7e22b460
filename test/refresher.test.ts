/** What the studio's page asks for anew while runs go on. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Refresher } from '../src/studio/page/refresher.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const later = <T>(ms: number, answer: () => T) =>
  new Promise<T>((resolve, reject) =>
    setTimeout(() => {
      try {
        resolve(answer());
      } catch (error) {
        reject(error as Error);
      }
    }, ms),
  );

it('is asked however fast changes come, one at a time and no more often than it may', async () => {
  const [asked, found]: [number[], number[]] = [[], []];
  const began = performance.now();
  const now = () => Math.round(performance.now() - began);
  const refresher = new Refresher(1500, () => later(400, () => asked.push(now())), {
    found: () => found.push(now()),
    failed: () => expect.unreachable(),
  });
  for (let at = 0; at < 6000; at += 100) {
    refresher.change();
    await vi.advanceTimersByTimeAsync(100);
  }
  expect(found).toEqual([400, 1900, 3400, 4900]);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(found).toEqual([400, 1900, 3400, 4900, 6400]); // the last change is seen, then there is peace
  refresher.change();
  refresher.close();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(asked.length).toBe(5);
});

it('is asked again after it failed', async () => {
  let times = 0;
  const told: string[] = [];
  const answer = () => {
    if (++times === 1) throw new Error('away');
    return 'there';
  };
  const refresher = new Refresher(1500, () => later(100, answer), {
    found: (text) => told.push(text),
    failed: (error) => told.push((error as Error).message),
  });
  refresher.change();
  await vi.advanceTimersByTimeAsync(5000);
  expect(told).toEqual(['away', 'there']);
});
