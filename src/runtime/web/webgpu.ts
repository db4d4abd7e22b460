/** ONNX Runtime's build with WebGPU, from where the page has it: with its 27 MB of WebAssembly it is no part of idat's package. */
import { IdatError } from '../../errors.js';

/** In the folder `dist` of onnxruntime-web, beside the WebAssembly that it fetches. */
const BUILD = 'ort.webgpu.min.mjs';
/** Others compute wrong numbers on WebGPU without a word: they have older kernels. */
const RIGHT_BUILDS = /\/ort\.webgpu(\.bundle)?(\.min)?\.mjs$/;

const refused = (what: string, cause?: unknown) =>
  new IdatError('runtime.device', `device webgpu: ${what}; the device cpu is always there`, { cause });

/**
 * @returns its module, which has what all builds have
 * @param address of the folder `dist` of onnxruntime-web, or of its build for WebGPU
 * @throws IdatError `runtime.device` where the browser has no adapter, or the address is none; `runtime.unloadable`
 */
export async function loadWebGpu(address: string | undefined): Promise<unknown> {
  const problem = await noAdapter();
  if (problem !== null) throw refused(problem);
  if (address === undefined) {
    throw refused(
      "its part of ONNX Runtime is none of idat's own files; give onnxruntime, the address of onnxruntime-web's dist",
    );
  }
  const url = scriptOf(address);
  try {
    return await import(/* @vite-ignore */ url);
  } catch (error) {
    const what = `ONNX Runtime's build for WebGPU could not be loaded from ${url} (${(error as Error).message})`;
    const advice = "serve the folder dist of onnxruntime-web from the page's own origin, and give its address";
    throw new IdatError('runtime.unloadable', `${what}; ${advice}`, { cause: error });
  }
}

function scriptOf(address: string): string {
  const { href, pathname } = new URL(address, location.href);
  if (!/\.m?js$/.test(pathname)) return `${href.replace(/\/?$/, '/')}${BUILD}`;
  if (RIGHT_BUILDS.test(pathname)) return href;
  throw refused(`${pathname} is not ONNX Runtime's build for WebGPU, ${BUILD}, and others compute wrong numbers there`);
}

interface Gpu {
  requestAdapter(): Promise<object | null>;
}

/** Why WebGPU cannot be used; null where it can. */
async function noAdapter(): Promise<string | null> {
  const { gpu } = (globalThis.navigator ?? {}) as { gpu?: Gpu };
  if (!gpu)
    return globalThis.isSecureContext !== false
      ? 'this browser has no WebGPU'
      : 'browsers offer WebGPU to pages from https or localhost alone';
  const adapter = await gpu.requestAdapter().catch(() => null);
  return adapter ? null : 'this browser finds no graphics adapter that it can use';
}
