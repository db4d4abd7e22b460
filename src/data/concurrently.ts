/**
 * Runs a task for each of `count` indices, `limit` at a time, in order of starting.
 *
 * Ends only when nothing it started is still running, also after an error or an abort, so that the caller may remove what
 * the tasks write to.
 *
 * @throws the first task's error, or `signal.reason`; no further task starts after either
 */
export async function eachConcurrently(
  count: number,
  limit: number,
  signal: AbortSignal | undefined,
  task: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  let failed = false;
  const worker = async () => {
    try {
      while (next < count && !failed) {
        signal?.throwIfAborted();
        await task(next++);
      }
    } catch (error) {
      failed = true;
      throw error;
    }
  };
  const results = await Promise.allSettled(Array.from({ length: Math.min(limit, count) }, worker));
  const rejected = results.find((result) => result.status === 'rejected');
  if (signal?.aborted) throw signal.reason;
  if (rejected) throw rejected.reason;
}
