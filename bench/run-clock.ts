/** The main thread's side of time-runs.ts. */
import { BroadcastChannel, receiveMessageOnPort } from 'node:worker_threads';
import { RUNS_CHANNEL } from './time-runs.js';

/**
 * @returns takes the milliseconds spent inside ONNX Runtime since the last call. A run's report is posted before its
 *   result, so whoever has the result finds the report here or waiting in the channel, which has its own turn in the
 *   event loop.
 */
export function startRunClock(): () => number {
  let elapsedMs = 0;
  const channel = new BroadcastChannel(RUNS_CHANNEL);
  channel.unref();
  channel.onmessage = (event: unknown) => {
    elapsedMs += (event as { data: number }).data;
  };
  const waiting = () => receiveMessageOnPort(channel as unknown as Parameters<typeof receiveMessageOnPort>[0]);
  return () => {
    for (let report = waiting(); report; report = waiting()) elapsedMs += report.message as number;
    const taken = elapsedMs;
    elapsedMs = 0;
    return taken;
  };
}
