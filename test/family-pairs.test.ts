/** A student and a teacher of different families, on images of different sizes, trained from files by the command line. */
import { execFile } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { tensorShapes } from '../src/backbones/architecture.js';
import type { BackboneConfig, SwinConfig, ViTConfig } from '../src/backbones/backbone.js';
import { encodeSafetensors } from '../src/files/safetensors.js';
import { size } from '../src/graph/tensor.js';
import { randomStream } from '../src/random.js';
import { temporaryFolder } from './train-support.js';

const root = temporaryFolder();
afterAll(() => rmSync(root, { recursive: true }));

describe('pairs of two families', () => {
  const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
  const task = fileURLToPath(new URL('../assets/eurosat-100.zip', import.meta.url));
  const swin: SwinConfig = {
    family: 'swin',
    imageSize: 64,
    patchSize: 4,
    channels: 3,
    embedWidth: 8,
    depths: [2, 2],
    heads: [1, 2],
    windowSize: 4,
    mlpRatio: 2,
    qkvBias: true,
    layerNormEps: 1e-5,
  };
  const vit: ViTConfig = {
    family: 'vit',
    imageSize: 32,
    patchSize: 8,
    channels: 3,
    width: 16,
    depth: 2,
    heads: 2,
    mlpWidth: 32,
    qkvBias: true,
    layerNormEps: 1e-6,
  };

  const normal = (count: number, seed: number) => {
    const random = randomStream(seed, 'normal');
    return Float32Array.from({ length: count }, () => 0.1 * random.normal());
  };
  function randomFile(name: string, config: BackboneConfig): string {
    const path = join(root, `${name}.safetensors`);
    const tensors = [...tensorShapes(config)].map(([tensor, shape], i) => ({
      name: tensor,
      shape,
      data: normal(size(shape), i),
    }));
    writeFileSync(path, encodeSafetensors(tensors, { num_heads: `${config.heads}`, img_size: `${config.imageSize}` }));
    return path;
  }
  const idat = (...args: string[]) => promisify(execFile)(process.execPath, [main, ...args], { cwd: root });

  it.each(['swin', 'vit'])(
    'a %s is taught by a model of the other family, which sees smaller or larger images',
    async (student) => {
      const files = { swin: randomFile('swin', swin), vit: randomFile('vit', vit) };
      const out = join(root, `run-${student}`);
      const roles = ['--student', files[student as 'vit'], '--teacher', files[student === 'vit' ? 'swin' : 'vit']];
      const settings = ['--variant', 'iDAT-PS-mse', '--epochs', '1', '--lr', '0.02', '--warmup-epochs', '0'];
      await idat('train', task, ...roles, ...settings, '--drop-path', '0.1', '--threads', '1', '--out', out);
      const read = (name: string) => JSON.parse(readFileSync(join(out, name), 'utf8').split('\n')[0]!);
      const record = JSON.parse(readFileSync(join(out, 'config.json'), 'utf8'));
      const other = student === 'vit' ? 'swin' : 'vit';
      expect([record.student.config.family, record.teacher.config.family]).toEqual([student, other]);
      expect(record.student.config.imageSize).toBe(student === 'vit' ? 32 : 64);
      const { loss } = read('metrics.jsonl');
      expect(Object.values(loss).every((v) => Number.isFinite(v) && (v as number) > 0)).toBe(true);
      if (student === 'swin') expect((await idat('eval', out, '--data', task)).stdout).toMatch(/%/);
    },
    120_000,
  );
});
