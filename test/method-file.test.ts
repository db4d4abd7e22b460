/** A method of the user's own on the command line: given by its file, trained, taken up again. */
import { execFile } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeImageFolder, TEACHER, temporaryFolder } from './train-support.js';

const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const EXAMPLE = fileURLToPath(new URL('../examples/contrast-adapter.js', import.meta.url));
const root = temporaryFolder();
let data = '';
beforeAll(async () => {
  data = await makeImageFolder(root);
});
afterAll(() => rmSync(root, { recursive: true }));

const idat = (...args: string[]) =>
  new Promise<{ code: number; stdout: string; stderr: string }>((done) => {
    const child = execFile(process.execPath, [MAIN, ...args], { cwd: root }, (_error, stdout, stderr) =>
      done({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });

describe('a method’s file', () => {
  it('is trained, and named again where its run is taken up', async () => {
    const out = join(root, 'run');
    const quick = ['--epochs', '1', '--warmup-epochs', '0', '--device', 'cpu', '--threads', '1', '--json'];
    const trained = await idat('train', data, '--student', TEACHER, '--method', EXAMPLE, '--out', out, ...quick);
    expect(trained).toMatchObject({ code: 0 });
    const score = JSON.parse(trained.stdout);
    // 6 blocks of 2·64·4 + 4, and a head of 3 classes
    expect(score.trainableParameters.student).toBe(6 * (2 * 64 * 4 + 4) + 3 * 65);
    const evaluated = await idat('eval', out, '--method', EXAMPLE, '--json');
    expect(JSON.parse(evaluated.stdout).accuracy).toBe(score.accuracy);
    const without = await idat('eval', out);
    expect(without).toMatchObject({ code: 1, stdout: '' });
    expect(without.stderr).toMatch(
      /config\.json: settings\.method: unknown tuning method 'contrast-adapter'.*--method/,
    );
    const merged = await idat('merge', out, '--method', EXAMPLE, '--out', 'merged.safetensors');
    expect(merged.stderr).toMatch(/contrast-adapter does not merge: .*methods that do: lora/);
    expect(merged.code).toBe(1);
  });

  it('is told about like any other', async () => {
    const { stdout } = await idat('methods', EXAMPLE, '--backbone', 'vit_nano_patch4_32');
    expect(stdout).toMatch(/trained\s+3,096 on vit_nano_patch4_32/);
    expect(stdout).toMatch(/hidden {2}\(whole from 1 to 65536, default 4\)/);
  });

  it.each([
    ['absent.js', null, /absent\.js: no such file/],
    ['idle.js', 'export const x = 1;', /idle\.js: expected a file that calls registerMethod .* it registered none/],
    ['broken.mjs', 'export const = 1;', /broken\.mjs: it cannot be imported: /],
  ])('%s is refused with a sentence', async (name, text, message) => {
    const path = join(root, name);
    if (text !== null) writeFileSync(path, text);
    const { code, stdout, stderr } = await idat('methods', path);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/bug of idat/);
  });
});

it('idat methods lists all with what they train', async () => {
  const { stdout } = await idat('methods');
  expect(stdout).toMatch(/^lora +294,912 +vit, swin +yes +yes +Low-rank/m);
  const records = JSON.parse((await idat('methods', '--json')).stdout);
  expect(records.length).toBeGreaterThanOrEqual(15);
  expect((await idat('methods', '--backbone', 'vit_bse')).stderr).toMatch(
    /unknown model 'vit_bse'; did you mean vit_base/,
  );
});
