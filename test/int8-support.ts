/** How large 8-bit weights may be on this processor for their products to be exact (src/runtime/check-int8.ts). */
import { INT8_LARGEST } from '../src/graph/passes/quantise-frozen.js';
import { largestInt8 } from '../src/runtime/check-int8.js';
import { startRuntime } from '../src/runtime/node/start.js';

const runtime = await startRuntime({ device: 'cpu', threads: 1 });
export const LARGEST_HERE = await largestInt8(runtime);
await runtime.close();

/** For `it.runIf`: tests of what the runtime makes of whole bytes are left out, visibly, where their products overflow. */
export const INT8_IS_EXACT = LARGEST_HERE === INT8_LARGEST;
