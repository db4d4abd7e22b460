/** A program of its own, run in a Worker: does one thing for the page, so that the page stays free meanwhile. */
import { IdatError } from '../../errors.js';
import { connectWorker } from '../../runtime/web/worker-connection.js';
import type { RunControl } from '../../train/progress.js';
import { exportStored, importStored } from './archive.js';
import { exportModel } from './export-model.js';
import { fineTune, resume, type WebHost } from './fine-tune.js';
import type { PageMessage, WorkerMessage } from './protocol.js';
import { listStored, removeStored } from './storage.js';

/** Put in by the build. */
declare const IDAT_VERSION: string;

const post = (message: WorkerMessage) =>
  (self as unknown as { postMessage(m: WorkerMessage): void }).postMessage(message);
const stopping = new AbortController();
const control: RunControl = { signal: stopping.signal, onProgress: (event) => post({ kind: 'progress', event }) };
const host: WebHost = {
  connect: () => connectWorker(new Worker(new URL('./engine-worker.js', import.meta.url), { type: 'module' })),
  cores: navigator.hardwareConcurrency,
  version: IDAT_VERSION,
};

function answer(call: PageMessage & { kind: 'call' }): Promise<unknown> {
  switch (call.name) {
    case 'fineTune':
      return fineTune(...call.args, control, host);
    case 'resume':
      return resume(...call.args, control, host);
    case 'listRuns':
      return listStored();
    case 'removeRun':
      return removeStored(...call.args);
    case 'exportRun':
      return exportStored(...call.args);
    case 'exportModel':
      return exportModel(...call.args, control);
    case 'importRun':
      return importStored(...call.args);
  }
}

self.onmessage = async ({ data }: MessageEvent<PageMessage>) => {
  if (data.kind === 'stop') {
    stopping.abort();
    return;
  }
  try {
    post({ kind: 'value', value: await answer(data) });
  } catch (error) {
    post(told(error));
  }
};

/** An error as it goes to the page. What no refusal foresaw keeps its own words, but for want of memory. */
function told(error: unknown): WorkerMessage {
  if (error instanceof IdatError) {
    const { code, message, issues } = error;
    return { kind: 'error', code, message, issues };
  }
  const { message } = error as Error;
  if (!(error instanceof RangeError) || !/alloc|array (buffer )?(size|length)/i.test(message)) {
    return { kind: 'error', code: null, message, issues: [] };
  }
  const what = `the memory of this tab is not enough (${message})`;
  const advice = 'take a smaller model, fewer pictures or a smaller prefixMemory, or train in a terminal';
  return { kind: 'error', code: 'runtime.memory', message: `${what}; ${advice}`, issues: [] };
}
