/** What goes between a page and the Worker that trains. */
import type { Issue } from '../../errors.js';
import type { WebFile } from '../../files/web/fetch.js';
import type { Progress } from '../../train/progress.js';
import type { WebRequest, WebResult, WebSources } from './fine-tune.js';

/** What the Worker does, by name: arguments and outcome. */
export interface Calls {
  fineTune: { args: [WebRequest]; value: WebResult };
  resume: { args: [name: string, WebSources]; value: WebResult };
  listRuns: { args: []; value: string[] };
  removeRun: { args: [name: string]; value: undefined };
  exportRun: { args: [name: string]; value: Blob };
  exportModel: { args: [name: string, weights: WebFile]; value: Blob };
  importRun: { args: [zip: Blob, name: string | undefined]; value: string };
}
export type CallName = keyof Calls;

export type PageMessage =
  | { [Name in CallName]: { kind: 'call'; name: Name; args: Calls[Name]['args'] } }[CallName]
  | { kind: 'stop' };

export type WorkerMessage =
  | { kind: 'progress'; event: Progress }
  | { kind: 'value'; value: unknown }
  | { kind: 'error'; code: string | null; message: string; issues: readonly Issue[] };
