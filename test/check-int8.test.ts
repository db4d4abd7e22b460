/** 8-bit products that overflow are refused, those that do not are let through. */
import { expect, it } from 'vitest';
import { checkInt8 } from '../src/runtime/check-int8.js';
import { startRuntime } from '../src/runtime/node/start.js';
import type { Compile, Runtime } from '../src/runtime/runtime.js';

const answering = (y: number) =>
  ({ load: async () => ({ run: async () => ({ y: Float32Array.of(y) }), close: async () => {} }) }) as never as Runtime;

it('takes the right product of the largest numbers, and refuses one that was cut off', async () => {
  await expect(checkInt8(answering(64 * 127 * 255))).resolves.toBeUndefined();
  // 32 pairs, each cut off at the largest 16-bit number
  await expect(checkInt8(answering(32 * 32767))).rejects.toThrow(/8-bit products overflow .* in float32 are exact/);
});

it('asks the runtime for that product', async () => {
  const runtime = await startRuntime({ device: 'cpu', threads: 1 });
  let product = 0;
  const spied: Runtime = {
    ...runtime,
    load: (async (compile: Compile) => {
      const session = await runtime.load(compile);
      return {
        ...session,
        run: async (feeds) => {
          const outputs = await session.run(feeds);
          product = outputs.y![0]!;
          return outputs;
        },
      };
    }) as Runtime['load'],
  };
  await checkInt8(spied).catch(() => {}); // on a processor without 8-bit dot products it is refused, and rightly
  await runtime.close();
  expect([64 * 127 * 255, 32 * 32767]).toContain(product);
});
