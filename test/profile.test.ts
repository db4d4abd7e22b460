/** Where the time of a step goes: what the runtime's profiler writes, read, added up, and shown. */
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeProfile } from '../src/cli/write-profile.js';
import { fineTune } from '../src/index.js';
import { kernelShares } from '../src/measure/profile.js';
import { profileChart } from '../src/report/profile-chart.js';
import type { StepProfile } from '../src/report/profile-record.js';
import { byOp, byPart, outside, profileMarkdown } from '../src/report/profile-tables.js';
import { readKernelTimes } from '../src/runtime/kernel-times.js';
import { makeImageFolder, runBytes, settings, temporaryFolder } from './train-support.js';

const sum = (rows: readonly { ms: number }[]) => rows.reduce((total, { ms }) => total + ms, 0);

/** Two runs of Gelu(Softmax(0.25·q·kᵀ)) and an unlabelled transpose, as ONNX Runtime 1.30 wrote them. */
const stored = readFileSync(new URL('./fixtures/onnxruntime-profile.json', import.meta.url), 'utf8');

describe('a profile written by ONNX Runtime', () => {
  const runs = readKernelTimes(stored);

  it('is read run by run, in milliseconds', () => {
    expect(runs.map((run) => run.elapsedMs)).toEqual([0.215, 0.043]);
    expect(runs.map((run) => run.kernels.map(({ op, ms }) => [op, ms]))).toEqual([
      [
        ['FusedMatMul', 0.074],
        ['Softmax', 0.018],
        ['Gelu', 0.005],
        ['Transpose', 0.009],
      ],
      [
        ['FusedMatMul', 0.01],
        ['Softmax', 0.003],
        ['Gelu', 0.002],
        ['Transpose', 0.004],
      ],
    ]);
  });

  it('is put down to its origins, fused nodes too; the rest stays without', () => {
    const attention = { role: 'student', part: 'backbones.attention', backward: false };
    const ms = (value: number) => expect.closeTo(value, 9);
    expect(kernelShares(runs, 2)).toEqual([
      { op: 'FusedMatMul', ...attention, ms: ms(0.042) },
      { op: 'Softmax', ...attention, ms: ms(0.0105) },
      { op: 'Transpose', role: null, part: null, backward: false, ms: ms(0.0065) },
      { op: 'Gelu', role: 'student', part: 'backbones.mlp', backward: true, ms: ms(0.0035) },
    ]);
  });
});

describe('the profile of a step', () => {
  const root = temporaryFolder();
  afterAll(() => rmSync(root, { recursive: true }));

  let profile: StepProfile;
  const run = (name: string) => ({ epochs: 1, warmupEpochs: 0, out: join(root, name) });
  beforeAll(async () => {
    const data = await makeImageFolder(root);
    const onProfile = async (taken: StepProfile) => {
      profile = taken;
    };
    await fineTune({ ...settings(data, root), ...run('profiled') }, { onProfile });
    await fineTune({ ...settings(data, root), ...run('plain') });
  });

  it('changes nothing of the run', () => {
    expect(runBytes(join(root, 'profiled'))).toEqual(runBytes(join(root, 'plain')));
  });

  it('adds up, by part as by op', () => {
    expect(profile).toMatchObject({ steps: 5, batchSize: 8, threads: 1, device: 'cpu', variant: 'iDAT-PS-mse' });
    const rest = sum(outside(profile));
    for (const rows of [byOp(profile), byPart(profile)]) expect(sum(rows) + rest).toBeCloseTo(profile.stepMs, 6);
    for (const { ms } of outside(profile)) expect(ms).toBeGreaterThan(0);
  });

  it('attributes every kernel of the step to a part of a model or a loss', () => {
    const parts = byPart(profile);
    expect(parts.map(({ name }) => name)).not.toContain('unattributed');
    for (const part of ['attention', 'mlp', 'norm', 'residual'])
      expect(parts.map(({ name }) => name)).toContain(`backbones.${part}`);
    // computed beforehand, as it depends on the image alone
    expect(profile.prefix).toBe(true);
    expect(parts.map(({ name }) => name)).not.toContain('backbones.patch embedding');
    for (const part of ['methods.parallel-shared', 'train.head', 'distill.mse', 'distill.cross-entropy'])
      expect(parts.map(({ name }) => name)).toContain(part);
    expect(Object.keys(parts.find(({ name }) => name === 'backbones.mlp')!.split).sort()).toEqual([
      'student backward',
      'student forward',
      'teacher backward',
      'teacher forward',
    ]);
    expect(Object.keys(parts.find(({ name }) => name === 'distill.mse')!.split)).toEqual(['both models']);
  });

  it('is written as numbers, table and chart', async () => {
    const folder = join(root, 'written');
    mkdirSync(folder);
    await writeProfile(folder, profile);
    expect(JSON.parse(readFileSync(join(folder, 'profile.json'), 'utf8'))).toEqual(profile);
    const svg = readFileSync(join(folder, 'profile.svg'), 'utf8');
    const text = readFileSync(join(folder, 'profile.md'), 'utf8');
    expect(text).toBe(profileMarkdown(profile));
    for (const { name } of [...byPart(profile), ...outside(profile)]) {
      expect(text).toContain(`| ${name} |`);
      expect(svg).toContain(`>${name}</text>`);
    }
  });

  it('names what cannot be attributed, and folds small ops into one bar', () => {
    const kernels = Array.from({ length: 20 }, (_, i) => ({
      op: `Op${i}`,
      role: null,
      part: null,
      backward: false,
      ms: 1,
    }));
    const svg = profileChart({ ...profile, kernels, stepMs: 40 });
    expect(svg).toContain('>unattributed</text>');
    expect(svg).toContain('>7 others</text>');
    expect(svg).toMatch(/>20 ms\s+50\.0 %<\/text>/);
  });
});
