/** A process that works for another one, from its own side: told what to do, and when to stop, by `inChild` (run-in-process.ts). */
import { IdatError } from '../errors.js';
import type { Progress, RunControl } from '../train/progress.js';
import type { FromChild, ToChild } from './run-in-process.js';

/** Steps are told of so often; who watches many runs needs no more. */
const STEP_MS = 500;

/** Does what the parent asks for, once; when that is gone or asks to stop, `work` is told by its signal, saves and ends. */
export function answerParent<Start, Result>(
  work: (start: Start, control: Required<RunControl>) => Promise<Result>,
): void {
  const stop = new AbortController();
  const send = (message: FromChild<Result>): void => {
    if (process.connected) process.send!(message, () => {}); // one that cannot be heard any more is no error
  };
  process.on('message', (message: ToChild<Start>) => {
    if (message.kind === 'stop') stop.abort();
    else void answer(message.start);
  });
  process.on('disconnect', () => stop.abort());
  // A terminal's Ctrl-C reaches the whole group: the parent decides, and what is saved is saved once.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort());

  async function answer(start: Start): Promise<void> {
    let last = Number.NEGATIVE_INFINITY;
    const onProgress = (event: Progress) => {
      const now = performance.now();
      if (event.kind !== 'note' && event.kind !== 'epoch') {
        if (now - last < STEP_MS) return;
        last = now;
      }
      const memory = { peakBytes: process.resourceUsage().maxRSS * 1024, bytes: process.memoryUsage.rss() };
      send({ kind: 'progress', event, ...memory });
    };
    try {
      send({ kind: 'done', result: await work(start, { onProgress, signal: stop.signal }) });
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
}
