/** The paper's tables and recipes: they agree with each other where the paper does, and docs/paper.md with the sources. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { lossByName } from '../src/distill/index.js';
import { methodByName } from '../src/methods/index.js';
import {
  type PaperSetting,
  TABLE_1,
  TABLE_2,
  TABLE_4,
  TABLE_5,
  TABLE_6,
  TABLE_7,
  TABLE_8,
  TABLE_9,
  TABLE_10,
  TABLE_11,
} from '../src/paper/ablations.js';
import { RECIPES, recipeOf, TABLE_13 } from '../src/paper/recipes.js';
import { TABLE_3 } from '../src/paper/table-3.js';
import { SETTINGS, TABLES } from '../src/paper/tables.js';
import { TASKS, taskNamed } from '../src/paper/tasks.js';
import { parseConfig } from '../src/settings/config.js';
import { planOf } from '../src/settings/plan.js';
import { learningRate, totalEpochs } from '../src/train/schedule.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const mean = (values: readonly number[]) => sum(values) / values.length;
const row3 = (name: string) => TABLE_3.find(({ row }) => row === name)!;
const at = (name: string, task: string) => row3(name).accuracies[TASKS.findIndex((one) => one.name === task)]!;
const find = (rows: readonly PaperSetting[], wanted: Partial<Record<keyof PaperSetting, unknown>>) => {
  const found = rows.filter((row) =>
    Object.entries(wanted).every(([key, value]) => row[key as keyof PaperSetting] === value),
  );
  expect(found).toHaveLength(1);
  return found[0]!;
};
/** Equal as far as figures of one and of two digits behind the point can be. */
const expectSame = (coarse: number, fine: number) => expect(Math.abs(coarse - fine)).toBeLessThanOrEqual(0.05 + 1e-9);

describe('the thirteen tables', () => {
  it('are there, in order, with the rows each has', () => {
    expect(TABLES.map(({ number, rows }) => [number, rows.length])).toEqual([
      [1, 3],
      [2, 3],
      [3, 18],
      [4, 4],
      [5, 2],
      [6, 16],
      [7, 4],
      [8, 3],
      [9, 4],
      [10, 4],
      [11, 4],
      [12, 19],
      [13, 19],
    ]);
    expect(SETTINGS).toHaveLength(3 + 3 + 4 + 2 + 16 + 4 + 3 + 4 + 4 + 4);
  });
  it('name methods and losses that exist, a loss exactly where a teacher teaches, a temperature exactly where it is used', () => {
    for (const { method, distill } of TABLE_3) {
      expect(methodByName(method).name).toBe(method);
      if (distill !== undefined) expect(lossByName(distill).name).toBe(distill);
    }
    for (const { teacher, distill, temperature } of SETTINGS) {
      expect(distill === undefined).toBe(teacher === undefined);
      expect(distill !== undefined && lossByName(distill).softens).toBe(temperature !== undefined);
    }
  });
  it('print accuracies in per cent, each setting once', () => {
    const all = [...TABLE_3.flatMap(({ accuracies }) => accuracies), ...SETTINGS.map(({ accuracy }) => accuracy)];
    for (const accuracy of all) expect(accuracy > 9 && accuracy < 100, `${accuracy}`).toBe(true);
    for (const { rows } of TABLES) expect(new Set(rows.map((row) => JSON.stringify(row))).size).toBe(rows.length);
  });
});

describe('Table 3', () => {
  it('prints the mean of each row’s accuracies, rounded, but once', () => {
    const wrong = TABLE_3.filter(({ accuracies, mean: printed }) => Math.abs(mean(accuracies) - printed) > 0.005);
    expect(wrong.map(({ row }) => row)).toEqual(['iDAT-PS-mse']);
    expect(mean(wrong[0]!.accuracies).toFixed(2)).toBe('74.01');
  });
  it('gives the gain and the price of the abstract, most of it on one task', () => {
    const [alone, taught] = [row3('Seq. adapter*'), row3('iDAT-S-kl')];
    expect(taught.mean - alone.mean).toBeCloseTo(2.66, 9);
    expect(taught.parameters - alone.parameters).toBeCloseTo(0.07, 9);
    const gains = taught.accuracies.map((accuracy, i) => accuracy - alone.accuracies[i]!);
    const [distance] = gains.splice(
      TASKS.findIndex(({ name }) => name === 'clevr_dist'),
      1,
    );
    expect((distance! / TASKS.length).toFixed(2)).toBe('1.48');
    expect(mean(gains).toFixed(2)).toBe('1.24');
  });
  it('has the means of VTAB’s groups that other papers print', () => {
    const grouped = (name: string) => {
      const groups = ['natural', 'specialised', 'structured'].map((group) =>
        mean(row3(name).accuracies.filter((_, i) => TASKS[i]!.group === group)),
      );
      return mean(groups).toFixed(2);
    };
    expect(['ReAdapter', 'Res-Tuning', 'iDAT-S-kl'].map(grouped)).toEqual(['76.09', '76.33', '76.76']);
  });
});

describe('the smaller tables', () => {
  it('1 and 2 are means of three of Table 3’s tasks', () => {
    const mean3 = (name: string) => mean(['cifar100', 'dtd', 'flowers102'].map((task) => at(name, task)));
    expectSame(mean3('Par. adapter*'), find(TABLE_1, { student: 'ViT-B' }).accuracy);
    expectSame(mean3('iDAT-P-kl'), find(TABLE_2, { teacher: 'ViT-S' }).accuracy);
    for (const { tasks } of [...TABLE_1, ...TABLE_2]) expect(tasks).toEqual(['cifar100', 'dtd', 'flowers102']);
  });
  it('2 counts student and teacher as Table 1 does', () => {
    const alone = (student: string) => TABLE_1.find((row) => row.student === student)!.parameters!;
    for (const { student, teacher, parameters } of TABLE_2)
      expect(parameters).toBeCloseTo(alone(student) + alone(teacher!), 9);
  });
  it('7 and 8 count the pair as the sum of its printed parts', () => {
    for (const table of [TABLE_7, TABLE_8]) {
      const alone = (student: string) => find(table, { student, teacher: undefined });
      for (const { student, teacher, parameters } of table.filter((row) => row.teacher !== undefined))
        expect(parameters).toBeCloseTo(alone(student).parameters! + alone(teacher!).parameters!, 9);
    }
  });
  it('4, 5, 10 and 11 repeat Table 3’s figures of cifar100', () => {
    expectSame(at('Par. adapter*', 'cifar100'), find(TABLE_4, { student: 'ViT-B', distill: undefined }).accuracy);
    for (const table of [TABLE_4, TABLE_5])
      expectSame(at('iDAT-P-kl', 'cifar100'), find(table, { distill: 'kl' }).accuracy);
    expectSame(at('iDAT-P-kl', 'cifar100'), find(TABLE_10, { weight: 1 }).accuracy);
    expectSame(at('iDAT-P-mse', 'cifar100'), find(TABLE_11, { weight: 1 }).accuracy);
  });
  it('4 and 10 agree to the last digit where they are one run, and so do 9 and 10, at weight 0.5', () => {
    expect(find(TABLE_4, { distill: 'kl' }).accuracy).toBe(find(TABLE_10, { weight: 1 }).accuracy);
    const same = TABLE_10.filter(({ accuracy }) => accuracy === find(TABLE_9, { temperature: 5 }).accuracy);
    expect(same.map(({ weight }) => weight)).toEqual([0.5]);
    expect(new Set(TABLE_9.map(({ weight }) => weight))).toEqual(new Set([0.5]));
  });
  it('9 to 11 have their best at temperature 5 and at weight 1, whatever the appendix says', () => {
    const best = (rows: readonly PaperSetting[]) => rows.reduce((a, b) => (a.accuracy > b.accuracy ? a : b));
    expect(best(TABLE_9).temperature).toBe(5);
    expect([best(TABLE_10).weight, best(TABLE_11).weight]).toEqual([1, 1]);
  });
  it('6 has each model at each hidden dimension, and mse above kl above the student alone', () => {
    for (const hidden of [8, 16, 32, 64]) {
      const column = TABLE_6.filter((row) => row.hidden === hidden);
      const accuracy = (distill: string | undefined) => find(column, { student: 'ViT-B', distill }).accuracy;
      expect(accuracy('mse')).toBeGreaterThan(accuracy('kl'));
      expect(accuracy('kl')).toBeGreaterThan(accuracy(undefined));
      expect(find(column, { distill: 'kl' }).parameters).toBe(find(column, { distill: 'mse' }).parameters);
    }
  });
});

describe('the tasks (Table 12)', () => {
  it('have the classes and test images of VTAB-1K', () => {
    expect(sum(TASKS.map(({ classes }) => classes))).toBe(940);
    const tested = Object.fromEntries(TASKS.map(({ name, testImages }) => [name, testImages]));
    // what is tested of the whole data set
    expect(tested).toMatchObject({
      cifar100: 60_000 / 6,
      dtd: 5_640 / 3,
      flowers102: 8_189 - 2 * 1_020,
      pets: 7_349 - 3_680,
      sun397: Math.floor(108_754 / 5),
      patch_camelyon: 327_680 / 10,
      eurosat: 27_000 / 5,
      resisc45: 31_500 / 5,
      dsprites_loc: 737_280 / 10,
      dsprites_ori: 737_280 / 10,
      smallnorb_azi: 24_300 / 2,
      smallnorb_ele: 24_300 / 2,
    });
  });
  it('are printed with the wrong number of classes once', () => {
    expect(TASKS.filter((task) => task.printedClasses !== undefined)).toEqual([
      expect.objectContaining({ name: 'smallnorb_ele', classes: 9, printedClasses: 18 }),
    ]);
  });
  it('are found by their names and by their folders', () => {
    for (const task of TASKS) {
      expect(taskNamed(task.name)).toBe(task);
      expect(taskNamed(task.folder)).toBe(task);
    }
    expect(taskNamed('Oxford_IIIT_Pet')?.name).toBe('pets');
    expect(taskNamed('cifar10')).toBe(undefined);
  });
});

describe('the recipes', () => {
  it.each(TASKS)('$name: settings of a run, with the rate of Table 13', ({ name, folder }) => {
    const recipe = recipeOf(name);
    expect(recipeOf(folder)).toBe(recipe);
    const settings = parseConfig({
      data: folder,
      variant: 'iDAT-P-kl',
      teacher: 'vit_nano_patch4_32.cifar10',
      ...recipe,
    });
    expect(settings).toMatchObject(recipe);
    expect(settings.lr).toBe(TABLE_13[name]);
    const { schedule, models } = planOf(settings);
    expect(models.student.dropPath).toBe(models.teacher!.dropPath);
    expect(totalEpochs(schedule)).toBe(110);
    expect([0, 9, 99, 100, 109].map((epoch) => learningRate(epoch, schedule))).toEqual([
      1e-7,
      expect.closeTo(0.9 * TABLE_13[name] + 1e-8, 12),
      expect.closeTo(1e-8 + (TABLE_13[name] - 1e-8) * 2.4672e-4, 8),
      1e-8,
      1e-8,
    ]);
  });
  it('leave the protocol, the models and the seed to the user', () => {
    for (const recipe of Object.values(RECIPES)) {
      expect(Object.keys(recipe).sort()).toEqual(
        [
          'batchSize',
          'cooldownEpochs',
          'dropPath',
          'epochs',
          'lr',
          'minLr',
          'warmupEpochs',
          'warmupLr',
          'weightDecay',
        ].sort(),
      );
    }
  });
  it('decay strongly and drop paths on the tasks that the script does', () => {
    const tasks = (wanted: Partial<(typeof RECIPES)['dtd']>) =>
      TASKS.map(({ name }) => name).filter((name) =>
        Object.entries(wanted).every(([key, value]) => RECIPES[name][key as 'lr'] === value),
      );
    expect(tasks({ weightDecay: 5e-2 })).toEqual([
      'caltech101',
      'eurosat',
      'clevr_count',
      'clevr_dist',
      'smallnorb_ele',
    ]);
    expect(tasks({ weightDecay: 5e-5 })).toHaveLength(14);
    expect(tasks({ dropPath: 0.2 })).toEqual(['eurosat', 'diabetic_retinopathy', 'dsprites_ori', 'smallnorb_ele']);
    expect(tasks({ dropPath: 0.1 })).toEqual([
      'caltech101',
      'resisc45',
      'clevr_count',
      'clevr_dist',
      'dmlab',
      'smallnorb_azi',
    ]);
    expect(tasks({ dropPath: 0 })).toHaveLength(9);
  });
  it('offer the nearest names for one that is unknown, and say how many there are', () => {
    expect(() => recipeOf('cifar10')).toThrow(
      expect.objectContaining({
        code: 'recipe.unknown',
        message: expect.stringMatching(/^no recipe for 'cifar10'; did you mean cifar100 or cifar or .*\b19 tasks$/),
      }),
    );
    expect(() => recipeOf('constructor')).toThrow(expect.objectContaining({ code: 'recipe.unknown' }));
    expect(() => recipeOf('\u001b[2J')).toThrow(/^no recipe for '\\u\{1b\}\[2J'/);
  });
});

describe('docs/paper.md', () => {
  const page = readFileSync(`${root}docs/paper.md`, 'utf8');
  const cells = page
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) => line.split('|').map((cell) => cell.trim().replaceAll('`', '')));

  it('names files that exist, and in brackets behind each what stands in it', () => {
    const named = [...page.matchAll(/`(src\/[\w./-]+)`(?: \(([^)]*)\))?/g)];
    expect(named.length).toBeGreaterThan(40);
    for (const [, path, inBrackets = ''] of named) {
      expect(existsSync(root + path), path).toBe(true);
      const text = readFileSync(root + path, 'utf8');
      for (const [, name] of inBrackets.matchAll(/`([\w.]+)`/g)) expect(text, `${path}: ${name}`).toContain(name);
    }
  });
  it('has every table', () => {
    const numbers = cells.flatMap(([, first]) => /^Table (\d+)$/.exec(first!)?.[1] ?? []);
    expect(numbers.map(Number)).toEqual(TABLES.map(({ number }) => number));
  });
  it('has the recipes as they are', () => {
    const printed = TASKS.map((task) => {
      const { lr, weightDecay, dropPath } = RECIPES[task.name];
      const row = cells.find(([, name]) => name === task.name)!.slice(2, -1);
      const [folder, classes, testImages, ...numbers] = row as [string, string, string, ...string[]];
      expect([folder, Number(classes), Number(testImages.replace(',', ''))], task.name).toEqual([
        task.folder,
        task.classes,
        task.testImages,
      ]);
      expect(numbers.map(Number), task.name).toEqual([lr, weightDecay, dropPath]);
      return task.name;
    });
    expect(printed).toHaveLength(19);
  });
});
