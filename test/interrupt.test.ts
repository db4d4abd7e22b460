/** Signals and closed pipes on the command line, while the runtime is at work. */
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

/** Trains for ever, until so many signals, the first at the first sign of progress and each other once the one before was noticed. */
function interrupted(times: number, out: string, signal: NodeJS.Signals = 'SIGINT') {
  const flags = ['--student', 'vit_micro_patch4_32.cifar10', '--method', 'full', '--image-size', '96'];
  // steps of about a second, so that a second Ctrl-C finds the runtime at work
  const length = ['--epochs', '1000', '--batch-size', '32', '--micro-batch', '8', '--replicas', '2', '--out', out];
  const child = spawn(process.execPath, [MAIN, 'train', data, ...flags, ...length], { timeout: 50_000, killSignal: 9 });
  let stderr = '';
  let sent = 0;
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
    const due = (/epoch \d/.test(stderr) ? 1 : 0) + (stderr.includes('again leaves at once') ? 1 : 0);
    for (; sent < Math.min(due, times); sent++) child.kill(signal);
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

describe('a request to end, and a closed terminal', () => {
  it.each([
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('%s: saves, and says where it stopped, as Ctrl-C does', async (signal, expected) => {
    const out = join(root, signal);
    const { code, stderr } = await interrupted(1, out, signal);
    expect({ code, stderr }).toEqual({ code: expected, stderr: expect.stringContaining(`idat resume ${out}`) });
    expect(stderr).toMatch(/stopped after epoch \d+ step \d+, with all saved in/);
    expect(existsSync(join(out, 'state.safetensors'))).toBe(true);
    expect(existsSync(join(out, 'run.lock'))).toBe(false);
  });

  it('SIGTERM twice at once, as supervisors send it, is one', async () => {
    const out = join(root, 'doubled');
    expect((await interrupted(2, out, 'SIGTERM')).code).toBe(143);
    expect(existsSync(join(out, 'state.safetensors'))).toBe(true);
  });
});

describe('a closed stderr', () => {
  it('ends the progress and not the training', async () => {
    const flags = ['--student', 'vit_micro_patch4_32.cifar10', '--method', 'linear', '--epochs', '2', '--out'];
    const child = spawn(process.execPath, [MAIN, 'train', data, ...flags, join(root, 'unseen')], { timeout: 50_000 });
    child.stderr.destroy();
    let stdout = '';
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('accuracy') });
  });
});
