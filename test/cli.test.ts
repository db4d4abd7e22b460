/** The command line as a person meets it: spawned, its exit codes and words read. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const model = fileURLToPath(new URL('../assets/models/vit_nano_patch4_32.cifar10.safetensors', import.meta.url));

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

let place: string;
beforeAll(() => {
  place = mkdtempSync(join(tmpdir(), 'idat-cli-'));
});
afterAll(() => rmSync(place, { recursive: true }));

function idat(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], { cwd: place }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}

describe('words', () => {
  it('--help lists the commands', async () => {
    const { code, stdout } = await idat('--help');
    expect(code).toBe(0);
    for (const command of ['train', 'eval', 'predict', 'resume', 'verify', 'compare', 'bench', 'demo'])
      expect(stdout).toContain(`  ${command} `);
  });

  it('train --help tells flags in kebab-case with their defaults', async () => {
    const { stdout } = await idat('train', '--help');
    expect(stdout).toMatch(/--weight-decay <number>\s.*\(default: 0\.00005\)/);
    expect(stdout).toMatch(/--method <method>[\s\S]*?idat\s+methods[\s\S]*?\(default:\s+parallel-shared\)/);
    expect(stdout).toMatch(/\nExamples:\n {2}idat train /);
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(stdout).toMatch(/--teacher-options <name=value\.\.\.>/);
    expect(stdout).toContain('--no-orient');
  });

  it.each([
    ['train', ['student', 'teacher', 'image-size', 'method', 'epochs', 'lr', 'flip', 'batch-size', 'seed', 'out']],
    ['compare', ['student', 'teacher', 'image-size', 'method', 'epochs', 'lr', 'flip', 'batch-size', 'out', 'seeds']],
    ['pretrain', ['epochs', 'lr', 'flip', 'batch-size', 'seed', 'out']],
    ['bench', ['student', 'teacher', 'image-size', 'method', 'batch-size']],
  ])('%s --help begins with what is used most and ends with what is no setting', async (command, first) => {
    const { stdout } = await idat(command, '--help');
    const flagsOf = (text: string) => [...text.matchAll(/^ {2}(?:-\w, )?--(\S+)/gm)].map(([, flag]) => flag);
    const groups = stdout.split(/\n(?=\S[^\n]*:\n)/).filter((group) => flagsOf(group).length > 0);
    expect(groups[0]).toMatch(/^Most used:\n/);
    expect(flagsOf(groups[0]!)).toEqual(first);
    expect(groups.at(-1)).toMatch(/^Options:\n[\s\S]*--json[\s\S]*--help/);
    const all = flagsOf(stdout);
    expect(all.filter((flag, i) => all.indexOf(flag) !== i)).toEqual([]);
  });

  it('--help tells choices once, with the default among them', async () => {
    const { stdout } = await idat('train', '--help');
    const text = stdout.replace(/\s+/g, ' ');
    expect(text).toContain('(last, val or paper; default: last)');
    expect(text.match(/few-queries/g)).toHaveLength(1);
    expect(text).not.toContain('choices:');
  });

  it.each([
    [['trian'], /did you mean train\?/i],
    [['train', 'x', '--student', 'y', '--epohcs', '3'], /did you mean --epochs\?/i],
    [['train', 'x', '--student', 'y', '--method', 'sequental'], /did you mean sequential /i],
    [['train', 'x', '--student', 'y', '--method', 'lora', '--hidden', '3'], /hidden: lora has no such option/],
    [['train', 'x', '--teacher', 'y', '--distill', 'msse'], /did you mean mse .*--distill \.\/my-loss\.js/],
    [['train', 'x', '--student', model, '--epochs', 'many'], /epochs: expected .*many/],
    [['train', 'x', '--disable', 'simplify', 'few-query'], /did you mean few-queries\?/i],
    [['compare', 'x'], /required option '--teacher /],
    [['sweep', 'x.yaml', '--withdraw'], /--withdraw .* name it with --queue/],
    [['compare', 'x', '--teacher', 'y', '--seed', '3'], /did you mean --seeds\?/i],
  ])('%j is a usage error that says what was meant', async (args, message) => {
    const { code, stderr, stdout } = await idat(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
  });
});

/** A 1×1 PNG. */
const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC',
  'base64',
);

function write(path: string, content: string | Uint8Array): void {
  const file = join(place, path);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, content);
}

/** A folder of the given images, all the same pixel. */
function images(name: string, paths: string[]): string {
  mkdirSync(join(place, name), { recursive: true });
  for (const path of paths) write(`${name}/${path}`, PIXEL);
  return name;
}

/** A data set with VTAB's lists; `line` is added to the training list. */
function lists(name: string, line: string): string {
  images(name, ['images/0.png', 'images/1.png']);
  const good = 'images/0.png 0\nimages/1.png 1\n';
  write(`${name}/train800.txt`, `${good}${line}\n`);
  for (const list of ['val200.txt', 'test.txt']) write(`${name}/${list}`, good);
  write(`${name}/classes.txt`, 'none\nsome\n');
  return name;
}

const twoClasses = () =>
  images(
    'good',
    Array.from({ length: 20 }, (_, i) => `${i % 2 ? 'a' : 'b'}/${i}.png`),
  );

/** The bundled model, damaged. */
function damaged(name: string, damage: (bytes: Buffer, dataStart: number) => Buffer): string {
  const bytes = Buffer.from(readFileSync(model));
  write(name, damage(bytes, 8 + Number(bytes.readBigUInt64LE(0))));
  return join(place, name);
}

/** A file of two tensors that claim the same bytes. */
function overlapping(): string {
  const tensor = { dtype: 'F32', shape: [2], data_offsets: [0, 8] };
  const header = Buffer.from(JSON.stringify({ a: tensor, b: { ...tensor, data_offsets: [4, 12] } }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  write('overlapping.safetensors', Buffer.concat([length, header, Buffer.alloc(12)]));
  return join(place, 'overlapping.safetensors');
}

describe('bad input gives one sentence and leaves nothing behind', () => {
  const cases: [name: string, data: () => string, student: () => string, message: RegExp][] = [
    ['missing path', () => 'nowhere', () => model, /nowhere: no such folder or file/],
    [
      'a class folder without images',
      () => `${images('hollow', ['a/0.png', 'a/1.png', 'a/2.png', 'b/.keep'])}`,
      () => model,
      /hollow\/b: holds no images/,
    ],
    ['one class only', () => images('single', ['a/0.png', 'a/1.png']), () => model, /one class only \(a\)/],
    ['no images', () => images('empty', []), () => model, /empty: no images found/],
    [
      'a list that leaves the data set',
      () => lists('escape', '../secret.png 0'),
      () => model,
      /train800\.txt:3: "\.\.\/secret\.png"/,
    ],
    [
      'a label out of range',
      () => lists('label', 'images/0.png 2'),
      () => model,
      /train800\.txt:3: expected a label from 0 to 1/,
    ],
    ['an unknown model', twoClasses, () => 'vit_mirco_patch4_32', /did you mean vit_micro_patch4_32/],
    ['a missing model file', twoClasses, () => './none.safetensors', /none\.safetensors/],
    [
      'a file cut short',
      twoClasses,
      () => damaged('short.safetensors', (bytes) => bytes.subarray(0, bytes.length >> 1)),
      /short\.safetensors/,
    ],
    ['overlapping tensors', twoClasses, overlapping, /overlap/],
    [
      'NaN in the weights',
      twoClasses,
      () =>
        damaged('nan.safetensors', (bytes, start) => {
          bytes.writeFloatLE(Number.NaN, start);
          return bytes;
        }),
      /holds NaN/,
    ],
  ];

  it.each(cases)('%s', async (_, data, student, message) => {
    const { code, stdout, stderr } = await idat('train', data(), '--student', student(), '--epochs', '1');
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\n\s+at |bug of idat/);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(existsSync(join(place, 'runs'))).toBe(false);
  });
});

it('train FOLDER works with no other word, and says first which student it took and how to choose another', async () => {
  const { code, stdout, stderr } = await idat('train', twoClasses());
  expect({ code, first: stderr.split('\n')[0] }).toEqual({
    code: 0,
    first: expect.stringMatching(
      /^student: vit_micro_patch4_32\.cifar10, .*; choose it with --student NAME \(idat models/,
    ),
  });
  expect(stdout).toContain('runs/good-parallel-shared-1');
}, 120_000);
