/** idat bench: measuring, and holding figures against those of other machines. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KNOWN_BACKBONES } from '../src/backbones/known-backbones.js';
import type { BenchRecord } from '../src/bench/bench.js';
import { comparableRecords, figureRows, machineRows, saveRecord } from '../src/bench/comparison.js';
import { parseBenchConfig } from '../src/bench/config.js';
import { measurableBackbone, withWeightsFolder } from '../src/bench/measurable-backbone.js';
import { timeInTurn } from '../src/bench/readings.js';
import { STUDENT, TEACHER, temporaryFolder } from './train-support.js';

const root = temporaryFolder();
afterAll(() => rmSync(root, { recursive: true }));

describe('idat bench', () => {
  const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
  const idat = (...args: string[]) =>
    promisify(execFile)(process.execPath, [main, 'bench', ...args], {
      cwd: root,
      env: { ...process.env, XDG_CACHE_HOME: join(root, 'cache') },
    });
  let record: BenchRecord;
  let stdout: string;
  beforeAll(async () => {
    ({ stdout } = await idat('--readings', '2', '--batch-size', '4', '--save', 'figures.json', '--profile', 'profile'));
    [record] = JSON.parse(readFileSync(join(root, 'figures.json'), 'utf8'));
  }, 120_000);

  it('measures the bundled pair on this machine', () => {
    expect(record).toMatchObject({
      format: 'idat-bench-1',
      device: 'cpu',
      randomWeights: false,
      readings: 2,
      machine: { cpu: expect.any(String), cores: expect.any(Number) },
      task: { student: STUDENT, teacher: TEACHER, variant: 'iDAT-PS-mse', imageSize: 32, batchSize: 4 },
    });
    const { step, student, teacher, peakFlopsPerSecond, peakMemoryBytes } = record;
    for (const { images, flops, msPerCall } of [step, student, teacher!]) {
      expect(msPerCall.lowest).toBeGreaterThan(0);
      expect(msPerCall.lowest).toBeLessThanOrEqual(msPerCall.median);
      expect(msPerCall.median).toBeLessThanOrEqual(msPerCall.highest);
      expect(images).toBeGreaterThan(0);
      expect(flops).toBeGreaterThan(0);
    }
    expect(step.flops / step.images).toBeGreaterThan(student.flops / student.images + teacher!.flops / teacher!.images);
    expect(peakFlopsPerSecond.median).toBeGreaterThan(0);
    expect(peakMemoryBytes).toBeGreaterThan(50e6);
  });

  it('says it in words, and what it could be held against', () => {
    expect(stdout).toContain('training step');
    expect(stdout).toMatch(/peak memory\s+\d\.\d\d GiB/);
    expect(stdout).toContain('this machine');
  });

  it('profiles as well', () => {
    expect(readdirSync(join(root, 'profile')).sort()).toEqual(['profile.json', 'profile.md', 'profile.svg']);
  });

  it('remembers the best call for training, or says what disturbed its measurement', () => {
    if (record.why?.includes('not remembered')) {
      expect(existsSync(join(root, 'cache', 'idat', 'tuning.json'))).toBe(false);
      return;
    }
    const { entries } = JSON.parse(readFileSync(join(root, 'cache', 'idat', 'tuning.json'), 'utf8'));
    expect(Object.values(entries)).toEqual([
      expect.objectContaining({
        microBatch: record.step.images / record.replicas!,
        threads: record.threads,
        replicas: record.replicas,
      }),
    ]);
  });

  it('refuses what it does not know in one sentence', async () => {
    await expect(idat('--student', 'vit_mirco_patch4_32')).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^unknown model .* did you mean vit_micro_patch4_32.*\n$/),
    });
    await expect(idat('--readings', '0')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^readings: .* got 0\n$/),
    });
  });
});

describe('settings', () => {
  it('are the bundled pair when nothing is asked for, and no teacher beside a student of one’s own', () => {
    expect(parseBenchConfig({}).plan.models).toMatchObject({ student: { name: STUDENT }, teacher: { name: TEACHER } });
    expect(parseBenchConfig({ student: 'vit_tiny_patch16_224' }).plan.models).toMatchObject({ teacher: null });
  });
});

describe('weights that are not on this disk', () => {
  it('are random, of the right sizes, and gone afterwards', async () => {
    const folder = await withWeightsFolder(async (place) => {
      const { backbone, random } = await measurableBackbone(
        { name: 'vit_tiny_patch16_224', imageSize: undefined },
        place,
      );
      expect(random).toBe(true);
      expect(backbone.name).toBe('vit_tiny_patch16_224.augreg_in21k');
      expect(backbone.config).toEqual(KNOWN_BACKBONES.find(({ name }) => name === backbone.name)!.config);
      expect(backbone.weights.values('blocks.11.mlp.fc2.weight', [192, 768]).some((value) => value !== 0)).toBe(true);
      return place;
    });
    expect(existsSync(folder)).toBe(false);
  });

  it('are not made where there are real ones', async () => {
    expect((await measurableBackbone({ name: STUDENT, imageSize: undefined }, root)).random).toBe(false);
  });
});

it('readings are taken in turn, after one run of each to warm up', async () => {
  const order: string[] = [];
  const subject = (name: string) => async () => {
    order.push(name);
    await new Promise((resolve) => setTimeout(resolve, 210));
  };
  const [a] = await timeInTurn([subject('a'), subject('b')], 2);
  expect(order.join('')).toBe('ababab');
  expect(a!.lowest).toBeGreaterThan(200);
});

describe('figures', () => {
  const spread = (median: number) => ({ median, lowest: 0.9 * median, highest: 1.2 * median });
  const record: BenchRecord = {
    format: 'idat-bench-1',
    date: '2026-01-31',
    machine: { cpu: 'Abacus', cores: 3, memoryBytes: 2 ** 33, platform: 'linux-x64' },
    versions: { idat: '0.1.0', onnxruntime: '1.30.0', node: '22' },
    device: 'cpu',
    threads: 3,
    task: {
      student: 's',
      teacher: null,
      variant: 'parallel',
      methods: '[]',
      imageSize: 224,
      batchSize: 32,
      dropPath: false,
      frozen: 'float32',
    },
    randomWeights: true,
    readings: 5,
    why: null,
    step: { images: 4, msPerCall: spread(2000), flops: 2e11 },
    student: { images: 8, msPerCall: spread(1000), flops: 1.5e11 },
    teacher: null,
    peakFlopsPerSecond: spread(2e11),
    peakMemoryBytes: 2 ** 31,
  };

  it('are images a second, milliseconds an image, and a share of the peak', () => {
    expect(figureRows(record).slice(1)).toEqual([
      ['training step', '2.00', '500 (450 to 600)', '100', '50 %'],
      ['inference, student', '8.00', '125 (113 to 150)', '150', '75 %'],
      ['matrix products alone', '', '', '200 (180 to 240)', ''],
    ]);
  });

  it('are held against the same task alone', async () => {
    const folder = join(root, 'stored');
    mkdirSync(folder);
    const machine = join(folder, 'abacus.json');
    await saveRecord(machine, { ...record, date: 'earlier' });
    await saveRecord(machine, { ...record, task: { ...record.task, imageSize: 384 } });
    await saveRecord(machine, { ...record, task: { ...record.task, variant: 'sequential' } });
    await saveRecord(machine, record);
    expect(JSON.parse(readFileSync(machine, 'utf8'))).toHaveLength(3);
    const others = await comparableRecords(record, folder);
    expect(others).toEqual([record]);
    expect(machineRows(record, others).slice(1)).toEqual([
      ['this machine', 'cpu', '3', '2.00', '8.00', '200', '2.00 GiB', '2026-01-31'],
      ['Abacus, 3 cores', 'cpu', '3', '2.00', '8.00', '200', '2.00 GiB', '2026-01-31'],
    ]);
    writeFileSync(join(folder, 'broken.json'), '{"format": "no"}');
    await expect(comparableRecords(record, folder)).rejects.toMatchObject({ code: 'bench.record' });
    await expect(saveRecord(join(folder, 'broken.json'), record)).rejects.toMatchObject({ code: 'bench.record' });
  });

  it('of every stored file can be read', async () => {
    await comparableRecords(record);
  });
});
