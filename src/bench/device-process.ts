/**
 * A process of its own that runs a tiny graph on one device and tells how it went: a driver that writes its traces to the
 * terminal, waits for ever or takes the process down does so here. Started by device-trial.ts.
 */
import { IdatError } from '../errors.js';
import { emit } from '../graph/emit.js';
import { constant, input, linear } from '../graph/ops/index.js';
import { largestInt8 } from '../runtime/check-int8.js';
import { withRuntime } from '../runtime/node/start.js';
import type { Provider } from '../runtime/runtime.js';
import type { TrialOutcome } from './device-trial.js';

const device = process.argv[2] as Provider;

const failure = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function outcome(): Promise<TrialOutcome> {
  try {
    return await withRuntime({ device, threads: 1 }, async (runtime) => {
      const weight = constant([1, 3], Float32Array.of(1, 2, 3));
      const session = await runtime.load(() => emit({ y: linear(input('x', [1, 3]), weight) }));
      const { y } = await session.run({ x: Float32Array.of(1, 10, 100) });
      await session.close();
      if (Math.abs(y![0]! - 321) > 1e-3) return { works: false, reason: `1·1 + 2·10 + 3·100 gave ${y![0]}` };
      const int8 = await largestInt8(runtime).catch(() => null);
      return { works: true, int8 };
    });
  } catch (error) {
    return { works: false, reason: failure(error), ...(error instanceof IdatError && { code: error.code }) };
  }
}

process.stdout.write(`${JSON.stringify(await outcome())}\n`);
process.exit(); // whatever a driver still holds
