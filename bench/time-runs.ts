/**
 * Preloaded (`node --import`) into processes that train: tells the main thread how long each run inside ONNX Runtime
 * took, so that the rest of a step can be called overhead. The code under measurement is untouched.
 *
 * Node hands `--import` on to worker threads, and idat's sessions live in one.
 */
import { BroadcastChannel, isMainThread } from 'node:worker_threads';

export const RUNS_CHANNEL = 'idat-bench-runs';

if (!isMainThread) {
  const { InferenceSession } = await import('onnxruntime-node');
  const channel = new BroadcastChannel(RUNS_CHANNEL);
  channel.unref();
  // `InferenceSession` is declared as a factory; its instances' prototype is only reachable through the constructor.
  const { prototype } = InferenceSession as unknown as { prototype: { run(...args: unknown[]): Promise<unknown> } };
  const run = prototype.run;
  prototype.run = async function (...args) {
    const started = performance.now();
    const outputs = await run.apply(this, args);
    channel.postMessage(performance.now() - started);
    return outputs;
  };
}
