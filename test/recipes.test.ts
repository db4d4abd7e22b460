/** Recipes by name, and recognised by what a data set is: never by a name alone. */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dot } from '../src/data/testing/folder.js';
import { NAMED_RECIPES, parseConfig, recipeNamed } from '../src/index.js';
import { MINI_TASKS } from '../src/paper/mini-recipes.js';
import { recipeFor } from '../src/paper/named-recipes.js';
import { TASKS } from '../src/paper/tasks.js';
import { recogniseRecipe, withRecipe } from '../src/runs/choose-recipe.js';
import { temporaryFolder } from './train-support.js';

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const root = temporaryFolder();
afterAll(() => rmSync(root, { recursive: true }));

/** A data set in VTAB's lists, all its entries few pictures again and again. */
function listed(name: string, { classes = 3, train = 800, val = 200, test = 429 } = {}): string {
  const dir = join(root, name);
  mkdirSync(join(dir, 'images'), { recursive: true });
  for (let i = 0; i < 30; i++) writeFileSync(join(dir, 'images', `${i}.png`), dot(i));
  const list = (count: number, from: number) =>
    Array.from({ length: count }, (_, i) => `images/${from + (i % 10)}.png ${(i % 10) % classes}\n`).join('');
  writeFileSync(join(dir, 'train800.txt'), list(train, 0));
  writeFileSync(join(dir, 'val200.txt'), list(val, 10));
  writeFileSync(join(dir, 'test.txt'), list(test, 20));
  return dir;
}

describe('recipes by name', () => {
  it('are those of both suites, each a run’s settings', () => {
    expect(NAMED_RECIPES).toHaveLength(TASKS.length + Object.keys(MINI_TASKS).length);
    expect(new Set(NAMED_RECIPES.map(({ name }) => name)).size).toBe(27);
    for (const { settings } of NAMED_RECIPES) expect(parseConfig({ data: 'x', ...settings })).toMatchObject(settings);
    expect(
      NAMED_RECIPES.filter(({ name }) => name.startsWith('mini/')).map(({ settings }) => Object.keys(settings)),
    ).toEqual(Array(8).fill(['lr', 'weightDecay', 'dropPath']));
  });
  it('are found by task or folder, in any case', () => {
    expect(recipeNamed('vtab/cifar')).toBe(recipeNamed('VTAB/CIFAR100'));
    expect(recipeNamed('vtab/Oxford_IIIT_Pet').name).toBe('vtab/pets');
    expect(recipeNamed('mini/eurosat').settings).not.toEqual(recipeNamed('vtab/eurosat').settings);
  });
  it.each(['vtab/cifar10', 'eurosat', 'mini/', 'vtab/cifar/x', ''])('offer the nearest for %j', (name) => {
    expect(() => recipeNamed(name)).toThrow(
      expect.objectContaining({ code: 'config.recipe', message: expect.stringMatching(/did you mean \w+\/\w+ or /) }),
    );
  });
});

describe('recognising', () => {
  it.each(NAMED_RECIPES)('$name', ({ name, folder, classes, testImages }) => {
    const data = { name: folder, listed: true, classes, trainImages: 1000, testImages };
    expect(recipeFor(data)?.name).toBe(name);
    for (const other of [
      { listed: false },
      { trainImages: 999 },
      { classes: classes + 1 },
      { testImages: 77 },
      { name: 'x' },
    ])
      expect(recipeFor({ ...data, ...other })).toBe(null);
  });
  it('opens what is called so, and nothing else', async () => {
    expect((await recogniseRecipe(listed('a/bloodcells')))?.name).toBe('mini/bloodcells');
    expect(await recogniseRecipe(listed('b/bloodcells', { test: 428 }))).toBe(null);
    expect(await recogniseRecipe(listed('c/cells'))).toBe(null);
    expect(await recogniseRecipe(join(root, 'nowhere', 'eurosat'))).toBe(null);
    expect(await recogniseRecipe({ name: 'eurosat', classes: ['a', 'b'], train: [] })).toBe(null);
  });
  const shared = fileURLToPath(new URL('../../shared/data/', import.meta.url));
  it.skipIf(!existsSync(shared)).each(Object.keys(MINI_TASKS))('VTAB-mini’s %s', async (name) => {
    expect((await recogniseRecipe(join(shared, `${name}.zip`)))?.name).toBe(`mini/${name}`);
  });
});

describe('with a recipe', () => {
  const { settings } = recipeNamed('vtab/eurosat');
  it('its settings lie below those that are given, and a sentence says so', async () => {
    const notes: object[] = [];
    const result = await withRecipe(
      'vtab/eurosat',
      'x',
      { dropPath: 0, epochs: 20 },
      { onProgress: (event) => notes.push(event) },
    );
    expect(parseConfig({ data: 'x', ...result })).toMatchObject({
      ...settings,
      dropPath: 0,
      epochs: 20,
      warmupEpochs: 2,
      cooldownEpochs: 2,
    });
    expect(notes).toEqual([
      {
        kind: 'note',
        text: 'recipe vtab/eurosat: lr 0.003, weightDecay 0.05, dropPath 0.2 but for what was given (epochs, dropPath)',
      },
    ]);
  });
  it('none leaves all as it is, and so does a data set that is not recognised', async () => {
    const given = { lr: 1 };
    const silent = { onProgress: () => expect.fail('nothing to say') };
    expect(await withRecipe('none', listed('d/bloodcells'), given, silent)).toBe(given);
    expect(await withRecipe('auto', root, given, silent)).toBe(given);
  });
});

describe('idat train', () => {
  const train = (...args: string[]) =>
    new Promise<{ code: number; stderr: string }>((done) =>
      execFile(process.execPath, [main, 'train', ...args], { cwd: root }, (error, _, stderr) =>
        done({ code: error ? Number(error.code) : 0, stderr }),
      ),
    );
  const stored = (dir: string) => JSON.parse(readFileSync(join(root, dir, 'config.json'), 'utf8')).settings;
  beforeAll(() => cpSync(listed('e/bloodcells', { test: 429 }), join(root, 'plain'), { recursive: true }));
  const quick = [
    '--method',
    'linear',
    '--epochs',
    '1',
    '--batch-size',
    '250',
    '--threads',
    '1',
    '--micro-batch',
    '250',
  ];

  it('trains a recognised data set by its recipe and says so; a flag wins', async () => {
    const { code, stderr } = await train('e/bloodcells', '--out', 'r1', ...quick, '--weight-decay', '0.5');
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(
      /^recipe mini\/bloodcells, by the data set’s name, lists and counts: lr 0\.003, .*--recipe none /m,
    );
    expect(stored('r1')).toMatchObject({ lr: MINI_TASKS.bloodcells.lr, weightDecay: 0.5 });
  });
  it.each([
    ['under another name', 'r2', ['plain']],
    ['with --recipe none', 'r3', ['e/bloodcells', '--recipe', 'none']],
  ])('trains the same %s as ever', async (_, out, args) => {
    const { code, stderr } = await train(...args, '--out', out, ...quick);
    expect(code, stderr).toBe(0);
    expect(stderr).not.toMatch(/recipe/);
    expect(stored(out).lr).toBe(5e-3);
  });
  it('refuses a name that is none as a usage error', async () => {
    const { code, stderr } = await train('plain', '--recipe', 'vtab/eurosta');
    expect(code).toBe(2);
    expect(stderr).toMatch(/^recipe: none is called 'vtab\/eurosta'; did you mean vtab\/eurosat or /);
  });
});

it('idat recipes fits 80 columns and has them all', async () => {
  const text = await new Promise<string>((done) =>
    execFile(process.execPath, [main, 'recipes'], (_, stdout) => done(stdout)),
  );
  for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
  for (const { name, testImages } of NAMED_RECIPES)
    expect(text).toMatch(new RegExp(`^${name} .* ${testImages.toLocaleString('en')}$`, 'm'));
});
