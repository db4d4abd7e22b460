/**
 * A program of its own, run in a process of its own: tries whether WebGPU works here. Where it does not, Dawn underneath writes
 * traces to the process's stderr, past anything that could catch them, and may take the process with it.
 *
 * Says on stdout why it does not work; nothing when it does.
 */
import { InferenceSession, listSupportedBackends, Tensor } from 'onnxruntime-node';
import { moved, moves, wrongMoves } from '../webgpu-check.js';

async function problem(): Promise<string> {
  if (!listSupportedBackends().some(({ name }) => name === 'webgpu')) {
    return 'the installed ONNX Runtime has no webgpu provider';
  }
  try {
    const { model } = moves();
    const session = await InferenceSession.create(model, { executionProviders: ['webgpu'], logSeverityLevel: 4 });
    const outputs = await session.run({ x: new Tensor('float32', moved()) });
    return wrongMoves({ turned: floats(outputs.turned!), flipped: floats(outputs.flipped!) }) ?? '';
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return /WebGPU adapter/.test(text) ? 'this machine has no GPU that it can use' : text.trim();
  }
}

const floats = ({ data }: Tensor): Float32Array => data as Float32Array;

const found = await problem();
// at once: what of Dawn is loaded has nothing left to say
process.stdout.write(found, () => process.exit(0));
