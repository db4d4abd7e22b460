/** `--device webgpu` where there is no GPU: one sentence, and none of the driver's own lines. */
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const image = fileURLToPath(new URL('./fixtures/run-0.1/images/red.png', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'idat-webgpu-'));
afterAll(() => rmSync(root, { recursive: true }));

it('works, or is refused in one sentence', async () => {
  for (const name of ['red', 'green']) {
    mkdirSync(join(root, 'data', name), { recursive: true });
    for (let i = 0; i < 5; i++) copyFileSync(image, join(root, 'data', name, `${i}.png`));
  }
  const args = ['train', 'data', '--student', 'vit_nano_patch4_32.cifar10', '--epochs', '1', '--device', 'webgpu'];
  const { code, stderr } = await new Promise<{ code: number; stderr: string }>((resolve) =>
    execFile(process.execPath, [main, ...args], { cwd: root }, (error, _, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stderr }),
    ),
  );
  expect(stderr).not.toMatch(/\.cc?p?p?:\d|^ +at |Warning|onnxruntime_src|dawn/im);
  if (code === 0) return; // a machine with a GPU
  expect(code).toBe(1);
  expect(stderr.trim().split('\n').at(-1)).toMatch(/^device webgpu: .*; use --device cpu$/);
});
