/** Runs in processes of their own, seen from the one that wants them. */
import { fork } from 'node:child_process';
import { IdatError } from '../errors.js';
import { packageFile } from '../files/node/package-root.js';
import type { FineTuneResult } from '../runs/fine-tune.js';
import type { FineTuneRequest } from '../runs/request.js';
import type { Progress } from '../train/progress.js';

/** What the process is told. */
export type ToRun =
  | {
      readonly kind: 'start';
      readonly request: FineTuneRequest;
      readonly dir: string;
      readonly modules: readonly string[];
    }
  | { readonly kind: 'stop' };

/** What it tells. Bytes are those of its memory, at most so far and now. */
export type FromRun =
  | { readonly kind: 'progress'; readonly event: Progress; readonly peakBytes: number; readonly bytes: number }
  | { readonly kind: 'done'; readonly result: FineTuneResult }
  | {
      readonly kind: 'failed';
      readonly code: string;
      readonly message: string;
      readonly about: Readonly<Record<string, string>>;
    };

/** How a run is made: in a process of its own, or in this one. */
export type Runner = (request: FineTuneRequest, dir: string, control: RunnerControl) => Promise<FineTuneResult>;

export interface RunnerControl {
  readonly onProgress: (event: Progress) => void;
  readonly onMemory: (peakBytes: number, bytes: number) => void;
  readonly signal: AbortSignal;
}

/** Of what a process wrote to stderr before it died, that much is told. */
const LAST_WORDS = 400;

/** @param modules paths of files that register methods and losses */
export function inProcesses(modules: readonly string[]): Runner {
  return (request, dir, { onProgress, onMemory, signal }) =>
    new Promise((resolve, reject) => {
      const child = fork(packageFile('dist/experiments/run-process.js'), [], {
        stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
        execArgv: [],
        env: withoutQueue(process.env),
      });
      const tell = (message: ToRun) => void (child.connected && child.send(message, () => {}));
      const onAbort = () => tell({ kind: 'stop' });
      signal.addEventListener('abort', onAbort);
      let words = '';
      let answer: Exclude<FromRun, { kind: 'progress' }> | null = null;
      child.stderr!.on('data', (chunk: Buffer) => {
        words = (words + chunk.toString()).slice(-LAST_WORDS);
      });
      child.on('message', (message: FromRun) => {
        if (message.kind !== 'progress') {
          answer = message;
          return;
        }
        onMemory(message.peakBytes, message.bytes);
        onProgress(message.event);
      });
      child.on('error', (error) => {
        reject(new IdatError('run.process', `${dir}: cannot start a process (${error.message})`, { cause: error }));
      });
      child.on('close', (code, killed) => {
        signal.removeEventListener('abort', onAbort);
        if (answer?.kind === 'done') resolve(answer.result);
        else if (answer) reject(new IdatError(answer.code, answer.message, { about: answer.about }));
        else reject(died(dir, code, killed, words));
      });
      tell({ kind: 'start', request, dir, modules });
      if (signal.aborted) onAbort();
    });
}

/** A run has no use for the address and password of a queue. */
const withoutQueue = (environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith('IDAT_QUEUE')));

function died(dir: string, code: number | null, signal: NodeJS.Signals | null, words: string): IdatError {
  const how = signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`;
  const memory = signal === 'SIGKILL' ? ', as a system does that runs out of memory: try fewer runs at a time' : '';
  const last = words.trim() === '' ? '' : ` (${words.trim().split('\n').at(-1)})`;
  return new IdatError(
    'run.process',
    `${dir}: the run's process ${how}${memory}${last}; it goes on when it is asked for again`,
  );
}
