/** `idat params`: counts in three conventions and the verdicts, as the specification works them out. */
import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parameterTable } from '../src/paper/parameter-table.js';
import { SETTINGS, TABLE_3, TASKS } from '../src/paper/tables.js';

const { rows, settings } = parameterTable();
const row = (name: string) => rows.find((counted) => counted.row === name)!;

describe('Table 3', () => {
  it.each([
    ['FPT', 85_798_656, 85_836_701, 'with the mean head'],
    ['Linear', 0, 38_045, 'with the mean head'],
    ['VPT-Deep', 561_691, 599_736, 'with the mean head'],
    ['LoRA', 294_912, 332_957, 'without the head'],
    ['SSF', 205_824, 243_869, 'with the mean head'],
    ['ARC', 96_432, 134_477, 'with the mean head'],
    ['MoSA', 350_400, 388_445, 'without the head and its norms and the copies of the second layer'],
    ['ReAdapter', 239_808, 277_853, 'without the head and biases'],
    ['Par. adapter*', 82_992, 121_037, 'disagrees: 0.09 (the adapters, rounded up) and 0.04 (the head)'],
    ['iDAT-PS-mse', 124_512, 181_605, /^disagrees: 0\.09 \+ 0\.05 /],
  ])('%s', (name, trained, withMeanHead, verdict) => {
    const counted = row(name as string);
    expect(Math.round(counted.trained)).toBe(trained);
    expect(Math.round(counted.withMeanHead)).toBe(withMeanHead);
    expect(counted.verdict).toMatch(verdict);
  });

  it('says of MoSA what is stored and what its authors count, and of RepAdapter what is left without biases', () => {
    expect(row('MoSA').stored).toBe(792_768);
    expect(row('MoSA').partial!.count).toBe(304_320);
    expect(row('ReAdapter').partial!.count).toBe(221_184);
  });

  it('does not call a near figure a reproduction of Res-Tuning', () => {
    expect(row('Res-Tuning')).toMatchObject({ trained: 507_000, verdict: expect.stringMatching(/not published/) });
  });

  it('is not judged for other sizes', () => {
    const small = parameterTable('vit_small_patch16_224', 'vit_tiny_patch16_224');
    expect(small.rows.find((counted) => counted.row === 'Par. adapter*')).toMatchObject({
      trained: 41_520,
      verdict: null,
    });
  });

  it('has an accuracy for each task, whose mean is the one printed', () => {
    expect(TASKS.reduce((sum, { classes }) => sum + classes, 0)).toBe(940);
    for (const { row: name, accuracies, mean } of TABLE_3) {
      expect(accuracies.length, name).toBe(TASKS.length);
      expect(Math.abs(accuracies.reduce((a, b) => a + b) / TASKS.length - mean), name).toBeLessThan(0.0055);
    }
  });
});

describe('the other tables', () => {
  const verdicts = (table: number) => settings.filter((checked) => checked.table === table).map(({ agrees }) => agrees);
  it('agree where the specification found so', () => {
    expect(new Set(verdicts(1))).toEqual(new Set([false]));
    expect(new Set(verdicts(2))).toEqual(new Set([false]));
    expect(new Set(verdicts(6))).toEqual(new Set([true]));
    expect(verdicts(7)).toEqual([true, true, false, true]);
    expect(verdicts(8)).toEqual([true, true, true]);
  });
  it('count what the specification counts', () => {
    const counts = settings.map(({ count }) => count);
    for (const count of [233_668, 3_274_340, 1_900_232, 647_560, 158_212, 210_884, 369_096])
      expect(counts).toContain(count);
  });
  it('name tasks of Table 3', () => {
    const names = TASKS.map(({ name }) => name);
    for (const { tasks } of SETTINGS) expect(names).toEqual(expect.arrayContaining([...tasks]));
  });
});

describe('the command', () => {
  const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
  it('prints one JSON object', () => {
    const printed = JSON.parse(execFileSync(process.execPath, [cli, 'params', '--json'], { encoding: 'utf8' }));
    expect(printed.rows.map((counted: { row: string }) => counted.row)).toEqual(TABLE_3.map(({ row: name }) => name));
  });
  it('fits 80 columns, and says below the table what a number stands for', () => {
    const text = execFileSync(process.execPath, [cli, 'params'], { encoding: 'utf8' });
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    const [, marks] = /^MoSA +350,400 +388,445 +0\.30 +(.*)$/m.exec(text)!;
    const noted = marks!.split(' ').map((mark) => text.split('\n').find((line) => line.startsWith(`${mark} `)));
    expect(noted.join('\n')).toMatch(/304,320[\s\S]*792,768 numbers/);
  });

  it('refuses sizes it does not know', () => {
    const { status, stderr } = spawnSync(process.execPath, [cli, 'params', '--student', 'vit_bass_patch16_224'], {
      encoding: 'utf8',
    });
    expect(status).not.toBe(0);
    expect(stderr).toContain('did you mean vit_base_patch16_224');
  });
});
