/** Ctrl-C: the first asks the work to come to a good end, such as its step's, the second leaves at once. */

export const INTERRUPTED = 130;

/** Runs `work` with a signal that the first Ctrl-C aborts. @param notice says so */
export async function interruptible<T>(
  work: (signal: AbortSignal) => Promise<T>,
  notice = 'stopping after this step; Ctrl-C again leaves at once',
): Promise<T> {
  const controller = new AbortController();
  const onInterrupt = () => {
    if (controller.signal.aborted) leave();
    process.stderr.write(`\n${notice}\n`);
    controller.abort();
  };
  // Not by process.exit, which tears the workers down around a running call and aborts with the runtime's complaint.
  const leave = () => {
    process.off('SIGINT', onInterrupt);
    process.kill(process.pid, 'SIGINT');
  };
  process.on('SIGINT', onInterrupt);
  try {
    return await work(controller.signal);
  } finally {
    process.off('SIGINT', onInterrupt);
  }
}
