/** What an engine's answer is to the other side of a connection. */
import type { Connection, Request, RunOutcome } from './protocol.js';
import type { Answer } from './serve.js';

/** Outputs go over without being copied. @throws as `Connection.call` */
export async function answerWith(engine: Connection, request: Request): Promise<Answer> {
  const value = await engine.call(request);
  const outputs = request.kind === 'run' ? Object.values((value as RunOutcome).outputs) : [];
  return { value, transfer: outputs.map(({ buffer }) => buffer as ArrayBuffer) };
}
