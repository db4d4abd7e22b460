/** Whether this processor multiplies 8-bit integers exactly: where it does not, idat refuses int8 (src/runtime/check-int8.ts). */
import { IdatError } from '../src/errors.js';
import { checkInt8 } from '../src/runtime/check-int8.js';
import { startRuntime } from '../src/runtime/node/start.js';

const runtime = await startRuntime({ device: 'cpu', threads: 1 });

/** For `it.runIf`: tests of what the runtime computes in 8 bits are left out, visibly, where it may not be used. */
export const INT8_IS_EXACT = await checkInt8(runtime).then(
  () => true,
  (error: unknown) => {
    if (error instanceof IdatError && error.code === 'runtime.int8') return false;
    throw error;
  },
);
await runtime.close();
