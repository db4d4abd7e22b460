/**
 * A run in a process of its own: what it takes of memory is given back, and a crash is its own alone. Started by
 * `inProcesses` (run-in-process.ts), to which it answers; when that is gone it saves and ends.
 */
import { pathToFileURL } from 'node:url';
import { IdatError } from '../errors.js';
import type { Progress } from '../train/progress.js';
import type { FromRun, ToRun } from './run-in-process.js';
import { runOnce } from './run-once.js';

/** Steps are told of so often; who watches many runs needs no more. */
const STEP_MS = 500;

const stop = new AbortController();
const send = (message: FromRun): void => {
  if (process.connected) process.send!(message, () => {}); // one that cannot be heard any more is no error
};

process.on('message', (message: ToRun) => {
  if (message.kind === 'stop') stop.abort();
  else void work(message);
});
process.on('disconnect', () => stop.abort());
// A terminal's Ctrl-C reaches the whole group: the parent decides, and what is saved is saved once.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort());

async function work({ request, dir, modules }: Extract<ToRun, { kind: 'start' }>): Promise<void> {
  let last = Number.NEGATIVE_INFINITY;
  const onProgress = (event: Progress) => {
    const now = performance.now();
    if (event.kind !== 'note' && event.kind !== 'epoch') {
      if (now - last < STEP_MS) return;
      last = now;
    }
    send({
      kind: 'progress',
      event,
      peakBytes: process.resourceUsage().maxRSS * 1024,
      bytes: process.memoryUsage.rss(),
    });
  };
  try {
    for (const path of modules) await import(pathToFileURL(path).href);
    send({ kind: 'done', result: await runOnce(request, dir, { onProgress, signal: stop.signal }) });
  } catch (error) {
    const known = error instanceof IdatError;
    const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined };
    send({
      kind: 'failed',
      code: known ? error.code : 'run.bug',
      message: known ? message : `${stack ?? message} (a bug of idat; please report it)`,
      about: known ? { ...error.about } : {},
    });
  }
  if (process.connected) process.disconnect();
}
