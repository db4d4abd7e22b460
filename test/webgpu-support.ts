/** A software adapter for WebGPU, where Chromium brought one: SwiftShader, behind the system's Vulkan loader. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const SOFTWARE = '/usr/lib/chromium/vk_swiftshader_icd.json';
if (process.env.VK_ICD_FILENAMES === undefined && existsSync(SOFTWARE)) process.env.VK_ICD_FILENAMES = SOFTWARE;

const probe = fileURLToPath(new URL('../dist/runtime/node/probe-webgpu.js', import.meta.url));

function problem(): string {
  try {
    return execFileSync(process.execPath, [probe], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 60_000,
    });
  } catch (error) {
    return String(error);
  }
}

/** Why there is no WebGPU here, in a sentence; empty where there is. */
export const WEBGPU_PROBLEM = problem();
export const hasWebGpu = WEBGPU_PROBLEM === '';
/** For the title of what is skipped. */
export const unlessSkipped = hasWebGpu ? '' : ` (skipped: ${WEBGPU_PROBLEM})`;
