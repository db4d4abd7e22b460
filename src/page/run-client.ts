/** The page's side of the Worker that opens runs: the only file that knows how "try it" gets its answers. */
import type { NamedFile } from '../data/web/open.js';
import { IdatError } from '../errors.js';
import type {
  OpenedRun,
  Rgba,
  RunCallName,
  RunCalls,
  RunReply,
  Seen,
  Unpacked,
  UnpackedFile,
  Weights,
} from './run-protocol.js';

/** What the page asks of a trained run. */
export interface Runs {
  /** Opens a run for what follows; the one before is closed when that has succeeded. */
  open(run: string, weights: Weights): Promise<OpenedRun>;
  see(picture: Blob | Rgba): Promise<Seen>;
  onnx(pictures: readonly Blob[]): Promise<Blob>;
  unpack(zip: Blob): Promise<Unpacked>;
  listed(files: readonly NamedFile[]): Promise<readonly UnpackedFile[] | null>;
}

/** The Worker is started by the first call: a visitor who only looks at pictures loads nothing of it. */
export function runsInWorker(): Runs {
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  let worker: Worker | null = null;
  let next = 0;
  const start = (): Worker => {
    const started = new Worker(new URL('./run-worker.js', import.meta.url), { type: 'module' });
    started.onmessage = ({ data }: MessageEvent<RunReply>) => {
      const asked = waiting.get(data.id);
      waiting.delete(data.id);
      if ('value' in data) asked?.resolve(data.value);
      else asked?.reject(data.code === null ? new Error(data.error) : new IdatError(data.code, data.error));
    };
    started.onerror = (event) => {
      event.preventDefault();
      const what = `a part of this page could not be started (${event.message || 'its script could not be loaded'})`;
      const error = new IdatError('runtime.unloadable', `${what}; load the page again`);
      for (const { reject } of waiting.values()) reject(error);
      waiting.clear();
      worker = null;
    };
    return started;
  };
  const call = <Name extends RunCallName>(name: Name, ...args: RunCalls[Name]['args']) =>
    new Promise<RunCalls[Name]['value']>((resolve, reject) => {
      const id = next++;
      waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      worker ??= start();
      worker.postMessage({ id, name, args });
    });
  return {
    open: (run, weights) => call('open', run, weights),
    see: (picture) => call('see', picture),
    onnx: (pictures) => call('onnx', pictures),
    unpack: (zip) => call('unpack', zip),
    listed: (files) => call('listed', files),
  };
}
