/** The other side of a connection: answers the requests that come to this Worker. */
import { IdatError } from '../../errors.js';
import type { Reply } from './protocol.js';

/** An answer, and what of it goes to the other side and is not copied. */
export interface Answer {
  readonly value: unknown;
  readonly transfer?: Transferable[];
}

/** @param answer may throw an IdatError; anything else reaches the page as `runtime.run` */
export function serveRequests<Asked>(answer: (request: Asked) => Promise<Answer>): void {
  const post = (reply: Reply, transfer: Transferable[] = []) =>
    (self as unknown as { postMessage(message: Reply, transfer: Transferable[]): void }).postMessage(reply, transfer);
  self.onmessage = async ({ data: { id, ...request } }: MessageEvent<{ id: number }>) => {
    try {
      const { value, transfer } = await answer(request as Asked);
      post({ id, value }, transfer);
    } catch (error) {
      const { code, message } = error as IdatError;
      post({ id, code: error instanceof IdatError ? code : 'runtime.run', error: message });
    }
  };
}
