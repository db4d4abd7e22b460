/**
 * A program of its own, run in a process of its own: tries whether WebGPU works here. Where it does not, Dawn underneath writes
 * traces to the process's stderr, past anything that could catch them, and may take the process with it.
 *
 * Says on stdout why it does not work; nothing when it does.
 */
import { InferenceSession, listSupportedBackends } from 'onnxruntime-node';
import { emit } from '../../graph/emit.js';
import { add, input } from '../../graph/ops/index.js';

async function problem(): Promise<string> {
  if (!listSupportedBackends().some(({ name }) => name === 'webgpu')) {
    return 'the installed ONNX Runtime has no webgpu provider';
  }
  const x = input('x', [1]);
  try {
    const { model } = emit({ y: add(x, x) });
    await InferenceSession.create(model, { executionProviders: ['webgpu'], logSeverityLevel: 4 });
    return '';
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return /WebGPU adapter/.test(text) ? 'this machine has no GPU that it can use' : text.trim();
  }
}

const found = await problem();
// at once: what of Dawn is loaded has nothing left to say
process.stdout.write(found, () => process.exit(0));
