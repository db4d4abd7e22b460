/** What is told of a sweep: the live table and the table at its end. */
import { describe, expect, it } from 'vitest';
import { secondsLeft, tableLines } from '../src/cli/sweep-view.js';
import { IdatError } from '../src/errors.js';
import type { RunStatus } from '../src/experiments/schedule.js';
import { sweepTable } from '../src/report/sweep-table.js';

const status = (name: string, more: Partial<RunStatus>): RunStatus =>
  ({
    run: { name },
    state: 'waiting',
    found: false,
    fraction: 0,
    secondsLeft: null,
    result: null,
    error: null,
    ...more,
  }) as RunStatus;
const done = (name: string, accuracy: number, seconds: number) =>
  status(name, { state: 'done', result: { accuracy, seconds } as RunStatus['result'] });

describe('the live table', () => {
  const long = `caltech101/${'a-long-name-of-a-row_'.repeat(6)}/seed-3`;
  const all = [
    done('eurosat/kl/seed-1', 0.9312, 100),
    status(long, { state: 'running', fraction: 0.5, secondsLeft: 50 }),
    status('eurosat/alone/seed-2', { state: 'failed', error: new IdatError('x', `cannot ${'be '.repeat(40)}`) }),
    status('dtd/kl/seed-1', { state: 'elsewhere' }),
    ...[1, 2, 3, 4].map((i) => status(`waiting-${i}`, {})),
  ];

  it('tells each state, in 80 columns', () => {
    const lines = tableLines(all, [all[0]!], 2, 61, 79);
    expect(lines.filter((line) => line.length > 79)).toEqual([]);
    expect(lines[0]).toBe('1 of 8 done, 1 running, 1 elsewhere, 4 waiting, 1 failed; about 3:45 left');
    expect(lines[1]).toMatch(/^█{6}░{6} calt….*a-long-name-of-a-row_\/seed-3 {2}0:50 left$/);
    expect(lines[2]).toMatch(/^ {2}dtd\/kl\/seed-1 {2}another process/);
    expect(lines[3]).toMatch(/^✗ eurosat\/alone\/seed-2: cannot be be .*…$/);
    expect(lines[4]).toBe('✓ eurosat/kl/seed-1  93.1 %  1:40');
    expect(lines[5]).toBe('  1:01 so far');
  });

  it('knows no time left before it has seen any', () => {
    expect(secondsLeft(all.slice(2), 2)).toBe(null);
  });
});

describe('the table of a sweep', () => {
  const run = (label: string, task: string, seed: number, accuracy: number, paperRow?: number) => ({
    ...{
      name: `${task}/${label}/seed-${seed}`,
      task,
      seed,
      accuracy,
      protocol: 'paper',
      ...(paperRow && { paperRow }),
    },
  });

  it('has mean and spread, and the paper’s figure beside them in the paper’s order', () => {
    const results = [
      ...[run('weight-1', 'cifar100', 1, 0.7, 4), run('weight-1', 'cifar100', 2, 0.72, 4)],
      ...[run('weight-0.1', 'cifar100', 1, 0.6, 1), run('weight-0.1', 'cifar100', 2, 0.6, 1)],
    ];
    const table = sweepTable({ plan: { paper: 'table-10' }, results, failed: [] });
    expect(table.split('\n').slice(0, 6)).toEqual([
      'Table 10: weights of kl',
      '',
      '| setting | cifar100 | paper | seeds |',
      '| --- | --- | --- | --- |',
      '| weight-0.1 | 60.00 ± 0.00 | 72.02 | 2 |',
      '| weight-1 | 71.00 ± 1.41 | 73.73 | 2 |',
    ]);
    expect(table).not.toContain('One seed');
  });

  it('has Table 3’s figure of each task in brackets, and a mean of the seeds that have all tasks', () => {
    const results = [
      run('LoRA', 'caltech101', 1, 0.9, 4),
      run('LoRA', 'dtd', 1, 0.7, 4),
      run('LoRA', 'dtd', 2, 0.8, 4),
    ];
    const table = sweepTable({ plan: { paper: 'table-3', standIn: 'In small.' }, results, failed: [] });
    expect(table).toContain('| LoRA | 90.00 (87.9) | 75.00 ± 7.07 (69.4) | 80.00 | 70.13 | 2 |');
    expect(table).toContain('In small.');
    expect(table).toContain('One seed is no measure');
    expect(table).toContain('Not all runs have ended');
  });

  it('holds rows against the one the plan names, run by run and task by task', () => {
    const accuracies = { alone: [0.5, 0.52, 0.4, 0.41], mse: [0.53, 0.54, 0.44, 0.44], kl: [0.5, 0.53, 0.4, 0.4] };
    const results = Object.entries(accuracies).flatMap(([label, values]) =>
      values.map((value, i) => run(label, i < 2 ? 'a' : 'b', i % 2, value)),
    );
    const table = sweepTable({ plan: { against: 'alone' }, results, failed: [] });
    expect(table).toContain(
      '| difference | pairs | points | 95 % interval | p | p (Holm) | 95 % interval over tasks |',
    );
    expect(table).toMatch(
      /\| mse − alone \| 4 \| \+3\.00 \| \+2\.\d\d to \+3\.\d\d \| 0\.125 \| 0\.250 \| \+2\.50 to \+3\.50 \|/,
    );
    expect(table).toMatch(/\| kl − alone \| 4 \| \+0\.00 \| −0\.\d\d to \+0\.\d\d \| 1\.000 \| 1\.000 \|/);
    const one = sweepTable({ plan: { against: { mse: 'kl' } }, results, failed: [] });
    expect(one).toContain('| mse − kl | 4 | +3.00 |');
    expect(one).not.toContain('− alone');
  });

  it('is plain without a paper', () => {
    const table = sweepTable({ plan: {}, results: [run('a', 'x', 1, 0.5)], failed: [] });
    expect(table.split('\n').slice(0, 3)).toEqual([
      '| setting | x | seeds |',
      '| --- | --- | --- |',
      '| a | 50.00 | 1 |',
    ]);
  });
});
