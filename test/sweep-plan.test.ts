/** Plans of sweeps: what they may say, where they are wrong, and which runs they come to. */
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { IdatError } from '../src/errors.js';
import { expandPlan, resultKey } from '../src/experiments/expand.js';
import { checkPlan } from '../src/experiments/plan.js';
import { parsePlan, readPlan } from '../src/experiments/plan-file.js';
import { PAPER_MODELS } from '../src/paper/ablations.js';
import { recipeOf } from '../src/paper/recipes.js';
import { TABLES } from '../src/paper/tables.js';
import { temporaryFolder } from './train-support.js';

const root = temporaryFolder();
afterAll(() => rmSync(root, { recursive: true }));

const errorOf = (action: () => unknown): IdatError => {
  try {
    action();
  } catch (error) {
    if (error instanceof IdatError) return error;
    throw error;
  }
  throw new Error('nothing was wrong');
};
const expand = (text: string, options = {}) => {
  const { plan, place } = parsePlan(text, 'plan.yaml');
  return expandPlan(plan, { place, ...options });
};
const names = (text: string) => expand(text).map(({ name }) => name);

describe('a plan that cannot be', () => {
  it.each([
    ['bsae: {}', 1, /^bsae: a plan has no such key; did you mean base/],
    ['base:\n  lr: 1\n  epohcs: 3', 3, /^base\.epohcs: no such setting; did you mean epochs/],
    ['base:\n  epochs: many', 2, /^base\.epochs: expected number, got "many"/],
    ['grid:\n  lr: [0.1, fast]', 2, /^grid\.lr\.1: expected number, got "fast"/],
    ['grid:\n  seed: []', 2, /^grid\.seed: expected at least one value/],
    ['tasks:\n  - a\n  - name: b\n    lrr: 1', 4, /^tasks\.1\.lrr: no such setting; did you mean lr/],
    ['tasks:\n  - a\n  - b\n  - a', 4, /^tasks\.2\.name: a is there twice/],
    ['rows:\n  - { name: x, out: runs }', 2, /^rows\.0\.out: no such setting/],
    [
      'tasks: [eurosat]\nexclude:\n  - task: eurosta',
      3,
      /^exclude\.0\.task: the plan has no task eurosta; did you mean euro/,
    ],
    ['tasks: [a]\nrows:\n  - name: x\n    on:\n      b: { lr: 1 }', 5, /^rows\.0\.on\.b: the plan has no task b/],
    ['parallel: 0', 1, /^parallel: /],
    ['paper: table-12', 1, /^paper: expected table-1 to table-11/],
    ['a: 1\na: 2', 2, /no YAML: Map keys must be unique/],
    ['base: [', 1, /no YAML/],
  ])('%j names line %i and what was meant', (text, line, message) => {
    const error = errorOf(() => parsePlan(text, 'plan.yaml'));
    expect(error.code).toBe('config.plan');
    expect(error.message).toContain(`plan.yaml, line ${line}`);
    expect(error.message.replace(/^plan\.yaml, line \d+: /, '')).toMatch(message);
  });

  it.each([
    ['tasks: [a]\nrows:\n  - name: x\n    method: lora\n    hidden: 3', 5, /hidden: lora has no such option.*run a, x/],
    ['tasks: [a]\nbase:\n  method: sequental', 3, /method: .*sequential/],
    ['tasks: [a]\ngrid:\n  seed: 1\n  options.rnk: [1, 2]\nbase: { method: lora }', 4, /options\.rnk: no such option/],
    [
      'tasks: [pets]\ngrid: { distill: [none, kl] }\nbase: { teacher: vit_nano_patch4_32.cifar10 }\nagainst: alne',
      4,
      /no row is called 'alne'; did you mean alone/,
    ],
    ['tasks: [petz]\nbase:\n  recipe: vtab', 3, /none is called 'vtab\/petz'; did you mean vtab\/pets/],
    ['base:\n  lr: 1', null, /expected tasks, or data/],
  ])('%j: settings that cannot go together name the run and the line', (text, line, message) => {
    const error = errorOf(() => expand(text));
    expect(error.code).toBe('config.plan');
    expect(error.message).toMatch(message);
    if (line !== null) expect(error.message).toContain(`plan.yaml, line ${line}`);
  });

  it('is refused in the same words without a file', () => {
    expect(errorOf(() => checkPlan({ grid: { lrr: 1 } })).message).toMatch(
      /^grid\.lrr: no such setting; did you mean lr or \w+\?$/,
    );
    expect(errorOf(() => checkPlan(7)).code).toBe('config.plan');
  });
});

describe('the runs of a plan', () => {
  const pair = 'base: { teacher: vit_nano_patch4_32.cifar10, method: parallel }\n';

  it('are all combinations, named by what varies, the first seed first', () => {
    expect(names(`${pair}tasks: [a, b]\ngrid: { distill: [none, kl], seed: [1, 2] }`)).toEqual([
      ...['a/alone/seed-1', 'a/kl/seed-1', 'b/alone/seed-1', 'b/kl/seed-1'],
      ...['a/alone/seed-2', 'a/kl/seed-2', 'b/alone/seed-2', 'b/kl/seed-2'],
    ]);
    expect(names('order: tasks\ntasks: [a, b]\ngrid: { seed: [1, 2] }')).toEqual([
      ...['a/parallel-shared/seed-1', 'a/parallel-shared/seed-2'],
      ...['b/parallel-shared/seed-1', 'b/parallel-shared/seed-2'],
    ]);
  });

  it('are each there once: a temperature of nobody makes no second run', () => {
    const runs = expand(`${pair}tasks: [a]\ngrid: { distill: [none, kl], temperature: [1, 5] }`);
    expect(runs.map(({ name }) => name)).toEqual([
      ...['a/alone/seed-42', 'a/kl_temperature-1/seed-42', 'a/kl_temperature-5/seed-42'],
    ]);
    expect(runs[0]!.settings.teacher).toBe(null);
    expect(runs[0]!.varies).toEqual({ distill: 'none' });
  });

  it('go by what stands nearest: recipe, base, task, row, row on a task, grid, and what is set from outside', () => {
    const text = `
base: { recipe: vtab, weightDecay: 0.2, method: lora }
tasks: [{ name: clevr_dist, dropPath: 0.3 }, svhn]
rows: [{ name: x, batchSize: 8, on: { svhn: { batchSize: 4 } } }]
grid: { options.rank: [2], clipNorm: 1 }`;
    const [clevr, svhn] = expand(text, { set: { epochs: 5 } });
    const { lr, warmupLr } = recipeOf('clevr_dist');
    expect(clevr!.settings).toMatchObject({ lr, warmupLr, weightDecay: 0.2, dropPath: 0.3, batchSize: 8, epochs: 5 });
    expect(clevr!.settings).toMatchObject({ clipNorm: 1, options: { rank: 2 } });
    expect(svhn!.settings).toMatchObject({ lr: 0.01, dropPath: 0, batchSize: 4 });
  });

  it('leave nothing of a method or variant that is named anew', () => {
    const text = `base: { variant: iDAT-P-kl, teacher: vit_nano_patch4_32.cifar10 }\ntasks: [a]\nrows:
  - { name: as it is }
  - { name: lora, method: lora, options.rank: 3 }
  - { name: mse, distill: mse }
  - { name: alone, teacher: none }`;
    const of = (run: { settings: { method: string; distill: string; teacher: string | null } }) => [
      ...[run.settings.method, run.settings.distill, run.settings.teacher === null],
    ];
    expect(expand(text).map(of)).toEqual([
      ['parallel', 'kl', false],
      ['lora', 'mse', false],
      ['parallel', 'mse', false],
      ['parallel', 'mse', true],
    ]);
  });

  it('lack those that are excluded, and have those that are included, on each task with each seed', () => {
    const text = `${pair}tasks: [a, b]
grid: { distill: [none, kl, mse], seed: [1, 2] }
include: [{ name: linear, method: linear, distill: none }, { task: b, method: full, teacher: none, seed: 7 }]
exclude: [{ distill: [kl, mse], seed: 2 }, { task: b, distill: none, method: parallel }]`;
    expect(names(text)).toEqual([
      ...['a/alone/seed-1', 'a/kl/seed-1', 'a/mse/seed-1', 'b/kl/seed-1', 'b/mse/seed-1'],
      ...['a/linear_linear_alone/seed-1', 'b/linear_linear_alone/seed-1', 'a/alone/seed-2'],
      ...['a/linear_linear_alone/seed-2', 'b/linear_linear_alone/seed-2', 'b/full_teacher-none/seed-7'],
    ]);
    expect(errorOf(() => expand('tasks: [a]\nexclude: [{ task: a }]')).message).toContain('no run is left');
  });

  it('have names that are no two the same, and that a file system takes', () => {
    const runs = names('tasks: [{ name: "../A/b c", data: x }]\nrows: [{ name: K=1 }, { name: k=1, lr: 1 }]');
    expect(runs.every((name) => /^A-b-c\/[Kk]=1_[0-9a-f]{8}\/seed-42$/.test(name))).toBe(true);
    expect(new Set(runs).size).toBe(2);
  });

  it('find a task below the root of all data, as a folder or a zip, by its own or its folder’s name', () => {
    mkdirSync(join(root, 'cifar'));
    mkdirSync(join(root, 'dtd.zip'));
    const runs = expand('tasks: [cifar100, dtd, missing]', { dataRoot: root });
    const data = ['cifar', 'dtd.zip', 'missing'].map((name) => join(root, name));
    expect(runs.map(({ settings }) => settings.data)).toEqual(data);
  });
});

describe('the plan of the teacher’s worth', () => {
  it('pairs each run alone with one that is taught, and shares its runs with Table 3', async () => {
    const plan = (name: string) =>
      readPlan(fileURLToPath(new URL(`../experiments/mini/${name}.yaml`, import.meta.url)));
    const [taught, table3] = await Promise.all(['taught', 'table-3'].map(plan));
    const runs = expandPlan(taught!.plan, { dataRoot: root, place: taught!.place });
    expect(runs.length).toBe(8 * 2 * 5);
    const rows = (row: string) => runs.filter((run) => run.row === row).map(({ task, seed }) => `${task} ${seed}`);
    expect(rows('iDAT-S-mse')).toEqual(rows('Seq. adapter'));
    const others = new Set(
      expandPlan(table3!.plan, { dataRoot: root, place: table3!.place }).map(({ settings }) => resultKey(settings)),
    );
    expect(runs.filter(({ settings }) => others.has(resultKey(settings))).length).toBe(8 * 2 * 3);
  });
});

describe('the plans of the paper’s tables', () => {
  const folder = fileURLToPath(new URL('../experiments/', import.meta.url));
  const files = readdirSync(folder, { recursive: true })
    .map(String)
    .filter((name) => /table-\d+\.yaml$/.test(name));
  const mini = (name: string) => name.startsWith('mini');

  it('are there for each table of runs, and in small for all but Swin’s', () => {
    const tables = (wanted: boolean) =>
      files
        .filter((name) => mini(name) === wanted)
        .map((name) => Number(/table-(\d+)/.exec(name)![1]))
        .sort((a, b) => a - b);
    expect(tables(false)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(tables(true)).toEqual([1, 2, 3, 4, 5, 6, 7, 9, 10, 11]);
  });

  it.each(files)('%s has the settings of the rows beside which it stands', async (name) => {
    const { plan, place } = await readPlan(join(folder, name));
    const table = TABLES.find(({ number }) => plan.paper === `table-${number}`)!;
    expect(name).toContain(`${plan.paper}.yaml`);
    expect(plan.standIn === undefined).toBe(!mini(name));
    const standsIn = (model: string) => (mini(name) ? '' : PAPER_MODELS[model as keyof typeof PAPER_MODELS]);
    for (const { row, paperRow, settings, seed, task } of expandPlan(plan, { place })) {
      expect([1, 2, 3], row!).toContain(seed);
      if (table.of === 'settings') {
        const printed = table.rows[paperRow! - 1]!;
        const { method, options, student, teacher, distill, temperature, beta } = settings;
        expect({ method, hidden: options.hidden }, row!).toEqual({ method: 'parallel', hidden: printed.hidden });
        expect(teacher !== null, row!).toBe(printed.teacher !== undefined);
        expect(student).toContain(standsIn(printed.student));
        if (!printed.teacher) continue;
        expect(teacher).toContain(standsIn(printed.teacher));
        expect({ distill, temperature: printed.temperature && temperature, beta: printed.weight && beta }).toEqual({
          ...{ distill: printed.distill, temperature: printed.temperature, beta: printed.weight },
        });
        if (!mini(name)) expect(printed.tasks).toContain(task);
      } else if (table.of === 'methods') {
        const printed = table.rows[paperRow! - 1]!;
        const { method, distill, teacher } = settings;
        const taught = printed.distill ?? null;
        expect([method, teacher === null ? null : distill]).toEqual([printed.method, taught]);
      }
      if (!mini(name)) expect(settings).toMatchObject({ ...recipeOf(task), protocol: 'paper' });
    }
    const rows = new Set(expandPlan(plan).map(({ paperRow }) => paperRow));
    if (!mini(name)) expect(rows.size).toBe(table.rows.length);
  });
});
