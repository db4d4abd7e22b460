/** The training loop without a disk. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunControl } from '../src/index.js';
import { startRuntime } from '../src/runtime/node/start.js';
import type { Runtime } from '../src/runtime/runtime.js';
import { memoryStore } from '../src/train/store.js';
import { expectExactResume, trainInMemory } from './memory-run.js';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await startRuntime({ device: 'cpu', threads: 1 });
});
afterAll(() => runtime.close());

describe.each(['last', 'val', 'paper'] as const)('a run by protocol %s in a store in memory', (protocol) => {
  it('ends with the same numbers after being stopped anywhere', async () => {
    const settings = { protocol, dropPath: 0.1, hidden: 4 };
    await expectExactResume(runtime, settings, (steps) => [1, 4, Math.floor(steps / 2)]);
  });
});

it('learns, and says that memory is full where nothing else keeps what the frozen part computes', async () => {
  const notes: (string | undefined)[] = [];
  const onProgress: RunControl['onProgress'] = (event) => event.kind === 'note' && notes.push(event.code);
  const settings = { epochs: 12, lr: 0.05, prefixMemory: 0 };
  const { result } = await trainInMemory(runtime, settings, memoryStore(), { control: { onProgress } });
  expect(result.accuracy).toBe(1);
  expect(notes).toContain('prefix.uncached');
});

it('refuses a state of another model', async () => {
  const store = memoryStore();
  await trainInMemory(runtime, { epochs: 1 }, store);
  const other = trainInMemory(runtime, { epochs: 1, hidden: 8 }, store);
  await expect(other).rejects.toMatchObject({ code: 'run.state' });
});
