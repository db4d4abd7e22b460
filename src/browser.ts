/**
 * What a page imports from `idat/browser`: fine-tuning in the tab, with the same training loop as in Node, in Workers.
 *
 * Pictures, weights and runs stay in the browser. Nothing is fetched but the files of this package and the addresses that
 * the page itself names.
 */
import { type Classifier, openClassifier as openExport } from './classify/web/open.js';
import { IdatError } from './errors.js';
import type { WebFile } from './files/web/fetch.js';
import type { WebRequest, WebResult, WebSources } from './runs/web/fine-tune.js';
import type { CallName, Calls, PageMessage, WorkerMessage } from './runs/web/protocol.js';
import type { RunControl } from './train/progress.js';

export type { ClassProbability, ImagePrediction } from './classify/answers.js';
export type { ClassifyOptions, QuestionOptions } from './classify/classifier.js';
export type { WebImage } from './classify/web/images.js';
export type { Classifier } from './classify/web/open.js';
export type { NamedFile, WebData } from './data/web/open.js';
export { IdatError, type Issue } from './errors.js';
export type { WebFile } from './files/web/fetch.js';
export type { WebRequest, WebResult, WebSources } from './runs/web/fine-tune.js';
export type { EpochMetrics, RunResult } from './settings/record.js';
export type { Estimate, Progress, RunControl } from './train/progress.js';

/**
 * Fine-tunes a student, taught by a teacher if there is one, and keeps the run in this browser's storage.
 *
 * @param control told of each step and epoch; when its signal is aborted the running step is finished and all is saved
 * @throws IdatError for every refusal; `run.interrupted` when it was stopped: `resume` goes on
 */
export const fineTune = (request: WebRequest, control: RunControl = {}): Promise<WebResult> =>
  call('fineTune', [request], control);

/**
 * Goes on with a run that was stopped, or whose tab was closed; ends with the bytes an undisturbed run would have written.
 *
 * @param name as `fineTune`, `importRun` or `listRuns` gave it
 * @param sources the same files again
 * @throws IdatError `run.changed` when they are not, `run.locked` when another tab is at work on it, `run.missing`
 */
export const resume = (name: string, sources: WebSources, control: RunControl = {}): Promise<WebResult> =>
  call('resume', [name, sources], control);

/** Names of the runs in this browser's storage. @throws IdatError `run.storage` */
export const listRuns = (): Promise<string[]> => call('listRuns', []);

/** Removes a run for good. @throws IdatError `run.locked` when a tab is at work on it, `run.missing`, `run.storage` */
export const removeRun = (name: string): Promise<undefined> => call('removeRun', [name]);

/**
 * A run's student as an .onnx file, for `openClassifier` of `idat/classifier` and any other runtime.
 *
 * @param weights of the student's backbone, which the run does not hold
 * @throws IdatError `run.missing`, `export.unfinished`, `run.changed` when they are others than the run began with
 */
export const exportModel = (name: string, weights: WebFile, control: RunControl = {}): Promise<Blob> =>
  call('exportModel', [name, weights], control);

/**
 * A run of this browser, ready to classify for as long as it is not closed: `exportModel`, opened as `idat/classifier` does.
 * @throws IdatError as `exportModel`
 */
export const openClassifier = async (name: string, weights: WebFile, control: RunControl = {}): Promise<Classifier> =>
  openExport(await exportModel(name, weights, control));

/** A run as a zip of its directory, with which `idat resume`, `predict` and `eval` go on. @throws IdatError `run.missing` */
export const exportRun = (name: string): Promise<Blob> => call('exportRun', [name]);

/**
 * Takes in the zip of a run directory, from Node or another browser, for `resume` to go on with.
 * @param name of the run here; default: as in the zip
 * @returns its name here
 * @throws IdatError `run.archive` when no run is in it, `run.exists`, `run.locked` when another tab takes one of this name in
 */
export const importRun = (zip: Blob, name?: string): Promise<string> => call('importRun', [zip, name]);

/** Runs in a Worker of its own, which ends with it. */
function call<Name extends CallName>(
  name: Name,
  args: Calls[Name]['args'],
  { onProgress, signal }: RunControl = {},
): Promise<Calls[Name]['value']> {
  const worker = new Worker(new URL('./training-worker.js', import.meta.url), { type: 'module' });
  const send = (message: PageMessage) => worker.postMessage(message);
  const stop = () => send({ kind: 'stop' });
  return new Promise<Calls[Name]['value']>((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<WorkerMessage>) => {
      if (data.kind === 'progress') onProgress?.(data.event);
      else if (data.kind === 'value') resolve(data.value as Calls[Name]['value']);
      else if (data.code === null) reject(new Error(data.message));
      else reject(new IdatError(data.code, data.message, { issues: data.issues }));
    };
    worker.onerror = (event) => {
      const what = `idat's Worker could not be started (${event.message || 'its script could not be loaded'})`;
      reject(new IdatError('runtime.unloadable', `${what}; serve all of idat's files from one place`));
    };
    send({ kind: 'call', name, args } as PageMessage);
    if (signal?.aborted) stop();
    signal?.addEventListener('abort', stop, { once: true });
  }).finally(() => {
    signal?.removeEventListener('abort', stop);
    worker.terminate();
  });
}
