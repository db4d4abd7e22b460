/** A program of its own, run in a Worker: opens a run for the page and unpacks archives, so that the page stays free meanwhile. */
import { isImagePath, isLitter } from '../data/file-tree.js';
import { IdatError } from '../errors.js';
import { readZip } from '../files/web/zip.js';
import { connectWorker } from '../runtime/web/worker-connection.js';
import { openRunModel, type RunModel } from './run-model.js';
import type { RunReply, RunRequest, Unpacked } from './run-protocol.js';

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
  }
}

function opened(): RunModel {
  if (model) return model;
  throw new IdatError('run.missing', 'no model is open; train one first');
}

/** The pictures of an archive. @throws IdatError `data.zip.broken` */
async function unpacked(zip: Blob): Promise<Unpacked[]> {
  const broken = (error: Error) => {
    const what = `not a usable zip (${error.message}); pack or fetch it again`;
    throw new IdatError('data.zip.broken', what, { cause: error });
  };
  const entries = await readZip(zip).catch(broken);
  const files: Unpacked[] = [];
  for (const { name: path, read } of entries) {
    if (isLitter(path) || !isImagePath(path)) continue;
    const steps = path.split('/');
    const bytes = (await read().catch(broken)) as Uint8Array<ArrayBuffer>;
    files.push({ folder: steps.at(-2) ?? '', name: steps.at(-1)!, blob: new Blob([bytes]) });
  }
  return files;
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
