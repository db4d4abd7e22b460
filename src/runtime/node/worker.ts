/** The worker in which ONNX Runtime runs. */
import { parentPort } from 'node:worker_threads';
import type { IdatError } from '../../errors.js';
import { openEngine } from './engine.js';
import type { Reply, Request } from './protocol.js';

const answer = openEngine();

parentPort!.on('message', async ({ id, ...request }: { id: number } & Request) => {
  try {
    const { value, transfer } = await answer(request);
    parentPort!.postMessage({ id, value } satisfies Reply, transfer ?? []);
  } catch (error) {
    const { message, code } = error as IdatError;
    parentPort!.postMessage({ id, code, error: message } satisfies Reply);
  }
});
