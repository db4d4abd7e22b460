/** A program of its own, run in a Worker: opens a run for the page and unpacks archives, so that the page stays free meanwhile. */
import { IdatError } from '../errors.js';
import { connectWorker } from '../runtime/web/worker-connection.js';
import { openRunModel, type RunModel } from './run-model.js';
import type { RunReply, RunRequest } from './run-protocol.js';
import { listedIn, unpacked } from './unpack.js';

const post = (reply: RunReply) => (self as unknown as { postMessage(message: RunReply): void }).postMessage(reply);
const connect = () => connectWorker(new Worker(new URL('./engine-worker.js', import.meta.url), { type: 'module' }));

let model: RunModel | null = null;
/** One after the other: a picture waits for the one before it. */
let last: Promise<unknown> = Promise.resolve();

async function answer(request: RunRequest): Promise<unknown> {
  switch (request.name) {
    case 'open': {
      const before = model;
      model = await openRunModel(...request.args, connect);
      await before?.close();
      const { classes, result, student } = model;
      return { classes, result, student };
    }
    case 'see':
      return opened().see(...request.args);
    case 'onnx':
      return opened().onnx(...request.args);
    case 'unpack':
      return unpacked(...request.args);
    case 'listed':
      return listedIn(...request.args);
  }
}

function opened(): RunModel {
  if (model) return model;
  throw new IdatError('run.missing', 'no model is open; train one first');
}

self.onmessage = ({ data }: MessageEvent<RunRequest>) => {
  last = last.then(async () => {
    try {
      post({ id: data.id, value: await answer(data) });
    } catch (error) {
      const { message } = error as Error;
      post({ id: data.id, code: error instanceof IdatError ? error.code : null, error: message });
    }
  });
};
