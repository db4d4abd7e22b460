/**
 * Ctrl-C, the system's request to end (SIGTERM, of batch systems and containers) and a closed terminal (SIGHUP): the first asks
 * the work to come to a good end, such as its step's, the second leaves at once.
 */
import { tell } from './terminal.js';

/** Exit codes as shells give them: 128 and the signal's number. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
type Signal = keyof typeof EXIT_CODES;

/** A supervisor signals a whole group of processes, and a parent passes the same on: within this they are one. */
const SAME_MS = 1000;

let stoppedBy: Signal = 'SIGINT';

/** For work that a signal has stopped. */
export const stoppedExitCode = (): number => EXIT_CODES[stoppedBy];

/** Runs `work` with a signal that the first Ctrl-C, SIGTERM or SIGHUP aborts. @param notice says what happens then */
export async function interruptible<T>(
  work: (signal: AbortSignal) => Promise<T>,
  notice = 'stopping after this step',
): Promise<T> {
  const controller = new AbortController();
  let since = 0;
  const onSignal = (signal: Signal) => {
    if (controller.signal.aborted) {
      if (signal === 'SIGINT' || performance.now() - since > SAME_MS) leave(signal);
      return;
    }
    since = performance.now();
    stoppedBy = signal;
    tell(`\n${notice}; ${signal === 'SIGINT' ? 'Ctrl-C' : signal} again leaves at once\n`);
    controller.abort();
  };
  const signals = Object.keys(EXIT_CODES) as Signal[];
  const stopListening = () => {
    for (const signal of signals) process.off(signal, onSignal);
  };
  // Not by process.exit, which tears the workers down around a running call and aborts with the runtime's complaint.
  const leave = (signal: Signal) => {
    stopListening();
    process.kill(process.pid, signal);
  };
  for (const signal of signals) process.on(signal, onSignal);
  try {
    return await work(controller.signal);
  } finally {
    stopListening();
  }
}
