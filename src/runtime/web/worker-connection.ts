/** An engine in a Worker of its own: requests and their answers, matched by number. */
import { IdatError } from '../../errors.js';
import type { Connection, Reply, Request } from './protocol.js';

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** @param worker runs engine-worker.ts; it is ended when the connection is closed */
export function connectWorker<Asked extends object = Request>(worker: Worker): Connection<Asked> {
  const waiting = new Map<number, Waiting>();
  let next = 0;
  let ended: IdatError | null = null;
  const fail = (error: IdatError) => {
    ended ??= error;
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  worker.onmessage = ({ data }: MessageEvent<Reply>) => {
    const { resolve, reject } = waiting.get(data.id)!;
    waiting.delete(data.id);
    if ('error' in data) reject(new IdatError(data.code, data.error));
    else resolve(data.value);
  };
  worker.onerror = (event) => {
    event.preventDefault();
    const what = `a Worker of ONNX Runtime ended (${event.message || 'its script could not be loaded'})`;
    fail(new IdatError('runtime.unloadable', `${what}; serve all of idat's files from one place`));
  };
  return {
    call: (request: Asked, transfer: Transferable[] = []) => {
      if (ended) return Promise.reject(ended);
      return new Promise((resolve, reject) => {
        const id = next++;
        waiting.set(id, { resolve, reject });
        worker.postMessage({ id, ...request }, transfer);
      });
    },
    close: () => {
      fail(new IdatError('runtime.ended', 'the runtime has been closed'));
      worker.terminate();
    },
  };
}
