/** Whether WebGPU works on this machine, found out where a failure does no harm. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { IdatError } from '../../errors.js';
import { packageFile } from '../../files/node/package-root.js';

/** Drivers that hang are not waited for. */
const PATIENCE_MS = 60_000;

let works: Promise<string> | undefined;

/** @throws IdatError `runtime.device` when it does not, in a sentence in place of the driver's traces */
export async function checkWebGpu(): Promise<void> {
  works ??= probe();
  const problem = await works;
  if (problem === '') return;
  throw new IdatError('runtime.device', `device webgpu: ${problem}`);
}

function probe(): Promise<string> {
  const path = fileURLToPath(packageFile('dist/runtime/node/probe-webgpu.js'));
  return new Promise((resolve) => {
    execFile(process.execPath, [path], { timeout: PATIENCE_MS }, (error, stdout, stderr) => {
      if (error) {
        const how = error.killed
          ? `gave no answer for ${PATIENCE_MS / 1000} s`
          : `ended (${error.signal ?? error.code})`;
        resolve(`a first try on it ${how}`);
        return;
      }
      const vulkan = /Couldn't load Vulkan: (\S+?):/.exec(stderr);
      resolve(stdout !== '' && vulkan ? `${stdout} (Vulkan's ${vulkan[1]} cannot be loaded)` : stdout);
    });
  });
}
