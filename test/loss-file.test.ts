/** A distillation loss of the user's own: its mathematics, and its file on the command line from training to merging. */
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { huber } from '../examples/huber-loss.js';
import { allLosses, type LOSSES, lossByName, registerLoss } from '../src/distill/index.js';
import { gradients } from '../src/graph/differentiate.js';
import { interpret } from '../src/graph/interpret.js';
import { input, mul, reduceMean, reduceSum, sub, sumAll } from '../src/graph/ops/index.js';
import { randomStream } from '../src/random.js';
import { parseConfig, parseVariant, variantName } from '../src/settings/config.js';
import { makeImageFolder, runBytes, STUDENT, TEACHER, temporaryFolder } from './train-support.js';

const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const EXAMPLE = fileURLToPath(new URL('../examples/huber-loss.js', import.meta.url));
const root = temporaryFolder();
let data = '';
beforeAll(async () => {
  data = await makeImageFolder(root);
  // so that files here may import idat, as those of a project that has installed it
  mkdirSync(join(root, 'node_modules'));
  symlinkSync(fileURLToPath(new URL('..', import.meta.url)), join(root, 'node_modules', 'idat'), 'junction');
});
afterAll(() => rmSync(root, { recursive: true }));

describe('the loss of the example', () => {
  const [B, K] = [3, 5];
  const [s, t, w] = [input('s', [B, K]), input('t', [B, K]), input('w', [B])];
  const perImage = lossByName('huber').perImage(s, t, 5);
  const h = (d: number) => (Math.abs(d) <= 1 ? d ** 2 / 2 : Math.abs(d) - 0.5);
  const random = randomStream(1, 'logits');
  const draw = (count: number) => Array.from({ length: count }, () => 2 * random.normal());
  const values = { s: draw(B * K), t: draw(B * K), w: [0.2, 0.5, -1] };

  it('has the values of its definition, on both sides of the kink and on it', () => {
    const differences = [0, 0.5, -0.5, 1, -1, 1.0001, -3, 10, -0.9999, 2, -2, 1e-3, 7, -1.5, 0.25];
    for (const feeds of [values, { s: differences, t: Array(B * K).fill(0) }]) {
      const expected = Array.from({ length: B }, (_, b) =>
        Array.from({ length: K }, (_, k) => h(feeds.s[b * K + k]! - feeds.t[b * K + k]!)).reduce(
          (sum, x) => sum + x / K,
          0,
        ),
      );
      const [found] = interpret([perImage], feeds);
      expect(found!.shape).toEqual([B]);
      found!.data.forEach((x, b) => {
        expect(x).toBeCloseTo(expected[b]!, 6); // 1/K is a float32
      });
    }
  });

  it('has the gradients of central differences, which are bounded', () => {
    const loss = sumAll(mul(perImage, w));
    const found = interpret(gradients(loss, [s, t]), values);
    const both = values.s.map((x, i) => x - values.t[i]!);
    expect(both.some((d) => Math.abs(d) < 0.99) && both.some((d) => Math.abs(d) > 1.01)).toBe(true);
    for (const [i, name] of (['s', 't'] as const).entries()) {
      for (let j = 0; j < B * K; j++) {
        const step = 1e-5;
        const at = (delta: number) => {
          const moved = values[name].map((x, k) => (k === j ? x + delta : x));
          return interpret([loss], { ...values, [name]: moved })[0]!.data[0]!;
        };
        expect(found[i]!.data[j]).toBeCloseTo((at(step) - at(-step)) / (2 * step), 8);
        const clipped = (Math.max(-1, Math.min(1, both[j]!)) * values.w[Math.floor(j / K)]!) / K;
        expect(found[i]!.data[j]).toBeCloseTo(name === 's' ? clipped : -clipped, 7);
      }
    }
  });
});

it('docs/distillation.md shows the example as it is', () => {
  const docs = readFileSync(new URL('../docs/distillation.md', import.meta.url), 'utf8');
  const text = readFileSync(EXAMPLE, 'utf8');
  const [perImage] = /^ {2}perImage[\s\S]*?\n {2}\},\n/m.exec(text)!;
  expect(docs).toContain(perImage.replace(/^/gm, '  ').trimEnd());
  expect(docs).toContain(`${text.split('\n').length - 1} lines with its comments`);
});

describe('a loss that is registered', () => {
  const own = { ...huber, name: 'own-loss' };

  it('is found by its name and in a variant, in any case', () => {
    registerLoss(own);
    expect(lossByName('own-loss').formula).toBe(huber.formula);
    for (const variant of ['iDAT-PS-own-loss', 'idat-ps-OWN-LOSS']) {
      expect(parseVariant(variant)).toEqual({ method: 'parallel-shared', distill: 'own-loss' });
    }
    const settings = parseConfig({ data: 'x', teacher: TEACHER, variant: 'iDAT-S-own-loss' });
    expect(settings).toMatchObject({ method: 'sequential', distill: 'own-loss' });
    expect(variantName(settings)).toBe('iDAT-S-own-loss');
  });

  it('again, counts in place of the one before', () => {
    registerLoss(own);
    registerLoss({ ...own, formula: 'another' });
    expect(allLosses().filter(({ name }) => name === 'own-loss')).toEqual([
      expect.objectContaining({ formula: 'another' }),
    ]);
  });

  it.each(['kl', 'mse', 'cosine', 'mae', 'kl-standardised', 'features', 'KL'])('may not be called %s', (name) => {
    const before = allLosses();
    expect(() => registerLoss({ ...own, name })).toThrow(`'${name.toLowerCase()}' is a loss of idat already`);
    expect(allLosses()).toEqual(before);
  });

  type Loss = (typeof LOSSES)[number];
  it.each<[string, unknown, RegExp]>([
    ['a name that no folder may have', { ...own, name: '../x' }, /"\.\.\/x": expected a name of letters/],
    ['no name', { ...own, name: undefined }, /expected a name of letters/],
    [
      'nothing it reads',
      { ...own, reads: undefined },
      /"own-loss": expected reads 'logits' or 'features', got undefined/,
    ],
    ['no function', { ...own, perImage: 'mse' }, /"own-loss": expected perImage/],
  ])('may not have %s', (_, loss, message) => {
    expect(() => registerLoss(loss as Loss)).toThrow(message);
  });

  it('has to give a number for each image', () => {
    const [s, t] = [input('s', [4, 3]), input('t', [4, 3])];
    const traced = (name: string, perImage: Loss['perImage']) => {
      registerLoss({ ...own, name, perImage });
      return () => lossByName(name).perImage(s, t, 1);
    };
    const wrong = (got: string) => `expected a number for each image, shape [4], got ${got}; take the mean`;
    expect(traced('odd-1', sub)).toThrow(`the loss odd-1: ${wrong('[4, 3]')}`);
    expect(traced('odd-2', (a, b) => reduceMean(sub(a, b), [-1], true))).toThrow(wrong('[4, 1]'));
    expect(traced('odd-3', (a, b) => sumAll(sub(a, b)))).toThrow(wrong('[]'));
    expect(traced('odd-4', (a, b) => reduceSum(sub(a, b), [0]))).toThrow(wrong('[3]'));
    expect(traced('even', (a, b) => reduceSum(sub(a, b), [1]))().shape).toEqual([4]);
  });
});

describe('a loss’s file', () => {
  const quick = [
    '--warmup-epochs',
    '0',
    '--cooldown-epochs',
    '0',
    '--micro-batch',
    '8',
    '--device',
    'cpu',
    '--threads',
    '1',
    '--json',
  ];
  const pair = ['--student', STUDENT, '--teacher', TEACHER, '--batch-size', '8'];
  const train = (out: string, ...more: string[]) => [
    'train',
    data,
    ...pair,
    ...quick,
    '--distill',
    EXAMPLE,
    '--out',
    out,
    ...more,
  ];
  const idat = (...args: string[]) =>
    new Promise<{ code: number; stdout: string; stderr: string }>((done) => {
      const child = execFile(process.execPath, [MAIN, ...args], { cwd: root }, (_error, stdout, stderr) =>
        done({ code: child.exitCode ?? -1, stdout, stderr }),
      );
    });
  /** Ctrl-C after the first epoch. */
  const stopped = (out: string, ...args: string[]) =>
    new Promise<number | null>((done) => {
      const child = spawn(process.execPath, [MAIN, ...args], { cwd: root, stdio: 'ignore' });
      const look = setInterval(() => {
        if (!existsSync(join(out, 'state.safetensors'))) return;
        clearInterval(look);
        child.kill('SIGINT');
      }, 10);
      child.on('close', (code) => {
        clearInterval(look);
        done(code);
      });
    });
  const [whole, halted] = [join(root, 'whole'), join(root, 'halted')];
  let score: { accuracy: number };

  beforeAll(async () => {
    const more = ['--epochs', '8', '--method', 'lora'];
    const trained = await idat(...train(whole, ...more));
    expect(trained).toMatchObject({ code: 0 });
    score = JSON.parse(trained.stdout);
    expect(await stopped(halted, ...train(halted, ...more))).toBe(130);
  }, 120_000);

  it('trains, and the run remembers its name', () => {
    expect(JSON.parse(readFileSync(join(whole, 'config.json'), 'utf8')).settings.distill).toBe('huber');
    const [first] = readFileSync(join(whole, 'metrics.jsonl'), 'utf8').split('\n');
    expect(JSON.parse(first!).loss.distill).toBeGreaterThan(0);
  });

  it('is named again to go on, and ends with the same bytes', async () => {
    const without = await idat('resume', halted, '--json');
    expect(without).toMatchObject({ code: 1, stdout: '' });
    expect(without.stderr).toMatch(/unknown distillation loss 'huber'.*--distill \.\/my-loss\.js/);
    expect(without.stderr).not.toMatch(/bug of idat/);
    expect(await idat('resume', halted, '--distill', EXAMPLE, '--json')).toMatchObject({ code: 0 });
    expect(runBytes(halted)).toEqual(runBytes(whole));
  });

  it('is not needed to measure, predict and merge', async () => {
    const evaluated = await idat('eval', whole, '--json');
    expect(JSON.parse(evaluated.stdout).accuracy).toBe(score.accuracy);
    const predicted = await idat('predict', whole, join(data, 'red', '0.png'), '--json');
    expect(JSON.parse(predicted.stdout).results[0].predictions).toHaveLength(3);
    const merged = await idat('merge', whole, '--out', 'merged.safetensors', '--json');
    expect(merged).toMatchObject({ code: 0, stderr: '' });
    expect(readFileSync(join(root, 'merged-card.md'), 'utf8')).toMatch(/\| distillation loss \| huber/);
  });

  it('may be part of a variant', async () => {
    const out = join(root, 'variant');
    const trained = await idat(...train(out, '--epochs', '1', '--variant', 'iDAT-PS-huber'));
    expect(trained).toMatchObject({ code: 0 });
    const { settings } = JSON.parse(readFileSync(join(out, 'config.json'), 'utf8'));
    expect(settings).toMatchObject({ method: 'parallel-shared', distill: 'huber' });
  });

  it.each([
    ['absent.js', null, /absent\.js: no such file; check the path of --distill/],
    ['idle.js', 'export const x = 1;', /idle\.js: expected a file that calls registerLoss .* it registered none/],
    [
      'taken.js',
      "import { LOSSES, registerLoss } from 'idat/losses';\nregisterLoss({ ...LOSSES[0] });",
      /'kl' is a loss of idat already/,
    ],
  ])('%s is refused with a sentence', async (name, text, message) => {
    const path = join(root, name);
    if (text !== null) writeFileSync(path, text);
    const args = train(join(root, 'refused'), '--epochs', '1');
    const { code, stdout, stderr } = await idat(...args.map((arg) => (arg === EXAMPLE ? path : arg)));
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/bug of idat/);
  });
});
