/** Ctrl-C on the command line, while the runtime is at work. */
import { spawn } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeImageFolder, temporaryFolder } from './train-support.js';

const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const root = temporaryFolder();
afterAll(() => rmSync(root, { recursive: true }));

let data: string;
beforeAll(async () => {
  data = await makeImageFolder(root);
});

/** Trains for ever, until so many Ctrl-C, the first at the first sign of progress and each other once the one before was noticed. */
function interrupted(times: number, out: string) {
  const flags = ['--student', 'vit_micro_patch4_32.cifar10', '--method', 'full', '--image-size', '96'];
  // steps of about a second, so that a second Ctrl-C finds the runtime at work
  const length = ['--epochs', '1000', '--batch-size', '32', '--micro-batch', '8', '--replicas', '2', '--out', out];
  const child = spawn(process.execPath, [MAIN, 'train', data, ...flags, ...length], { timeout: 50_000, killSignal: 9 });
  let stderr = '';
  let sent = 0;
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
    const due = (/epoch \d/.test(stderr) ? 1 : 0) + (stderr.includes('Ctrl-C again leaves at once') ? 1 : 0);
    for (; sent < Math.min(due, times); sent++) child.kill('SIGINT');
  });
  return new Promise<{ code: number | null; signal: string | null; stderr: string }>((resolve) =>
    child.on('close', (code, signal) => resolve({ code, signal, stderr })),
  );
}

describe('Ctrl-C', () => {
  it('saves and says how to go on', async () => {
    const out = join(root, 'once');
    const { code, stderr } = await interrupted(1, out);
    expect({ code, stderr }).toEqual({ code: 130, stderr: expect.stringContaining(`idat resume ${out}`) });
    expect(existsSync(join(out, 'state.safetensors'))).toBe(true);
  });

  it('a second time leaves at once, without a complaint of the runtime', async () => {
    const { code, signal, stderr } = await interrupted(2, join(root, 'twice'));
    expect([code, signal]).toEqual([null, 'SIGINT']);
    expect(stderr).not.toMatch(/terminate called|Napi/);
  });
});
