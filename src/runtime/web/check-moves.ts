/** A first small program for an engine: its WebAssembly is fetched and compiled, and builds that compute wrongly show. */
import { IdatError } from '../../errors.js';
import type { Runtime } from '../runtime.js';
import { moved, moves, wrongMoves } from '../webgpu-check.js';

/** Apart from the runtime, as it brings the compiler along. @throws IdatError `runtime.device` for a device that computes wrong numbers */
export async function checkMoves(runtime: Runtime): Promise<void> {
  const session = await runtime.load(moves);
  const wrong = wrongMoves(await session.run({ x: moved() }));
  await session.close();
  if (wrong)
    throw new IdatError('runtime.device', `device ${runtime.device}: ${wrong}; take another device or browser`);
}
