/** A program of its own, run in a Worker: answers requests with an engine. */
import { IdatError } from '../../errors.js';
import { openEngine } from './engine.js';
import type { Reply, Request, RunOutcome } from './protocol.js';

const engine = openEngine(new URL('./ort-wasm-simd-threaded.wasm', import.meta.url).href);
const post = (reply: Reply, transfer: Transferable[] = []) =>
  (self as unknown as { postMessage(message: Reply, transfer: Transferable[]): void }).postMessage(reply, transfer);

self.onmessage = async ({ data: { id, ...request } }: MessageEvent<{ id: number } & Request>) => {
  try {
    const value = await engine.call(request);
    const outputs = request.kind === 'run' ? Object.values((value as RunOutcome).outputs) : [];
    post(
      { id, value },
      outputs.map(({ buffer }) => buffer as ArrayBuffer),
    );
  } catch (error) {
    const { code, message } = error as IdatError;
    post({ id, code: error instanceof IdatError ? code : 'runtime.run', error: message });
  }
};
