/**
 * `verify` passes the shared reference whole, and finds single wrong numbers in copies of it.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { parseSafetensorsHeader } from '../src/files/safetensors.js';
import { formatRows, type Row, verify } from '../src/verify/index.js';

const REFERENCE = fileURLToPath(new URL('../../shared/reference', import.meta.url));
const present = existsSync(REFERENCE);
const cpu = { device: 'cpu', threads: 2 } as const;

const work = mkdtempSync(join(tmpdir(), 'idat-verify-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

/** A writable copy of some of the reference's files. */
function copyOf(name: string, ...files: string[]): string {
  const folder = join(work, name);
  mkdirSync(folder);
  for (const file of files) {
    cpSync(join(REFERENCE, file), join(folder, file), { recursive: true });
  }
  return folder;
}

// biome-ignore lint/suspicious/noExplicitAny: the tests change numbers deep in the reference's JSON
function editJson(path: string, change: (json: any) => void): void {
  const json = JSON.parse(readFileSync(path, 'utf8'));
  change(json);
  rmSync(path); // the originals, and so the copies, are read-only
  writeFileSync(path, JSON.stringify(json));
}

function editTensor(path: string, tensor: string, change: (bytes: DataView) => void): void {
  const file = Uint8Array.from(readFileSync(path));
  const { offset, byteLength } = parseSafetensorsHeader(file, file.length, path).tensors.get(tensor)!;
  change(new DataView(file.buffer, offset, byteLength));
  rmSync(path);
  writeFileSync(path, file);
}

const failed = (rows: readonly Row[]) =>
  rows.filter((row) => !row.ok).map((row) => `${row.quantity} | ${row.detail.split(':')[0]}`);

describe.skipIf(!present)(
  `verify${present ? '' : ' [skipped: no folder shared/reference beside the checkout]'}`,
  () => {
    it('passes the shared reference whole', { timeout: 240_000 }, async () => {
      const seen: Row[] = [];
      const { rows, passed } = await verify(REFERENCE, { ...cpu, onRow: (row) => seen.push(row) });
      expect(failed(rows)).toEqual([]);
      expect(passed).toBe(true);
      expect(seen).toEqual(rows);
      expect(rows.filter((row) => row.status === 'not covered')).toEqual([]);
      // every quantity PyTorch was measured for has its figure beside ours
      expect(rows.filter((row) => row.pytorch !== null).length).toBeGreaterThan(80);
    });

    it('finds one wrong gradient, one wrong label and a NaN, and names them', { timeout: 120_000 }, async () => {
      const folder = copyOf('gradient', 'models', 'one_step.json', 'one_step.safetensors');
      const file = join(folder, 'one_step.safetensors');
      editTensor(file, 'P-mse/grad/teacher/blocks.1.gist_adapter.linear2.weight', (bytes) =>
        bytes.setFloat32(20, bytes.getFloat32(20, true) + 1e-3, true),
      );
      editTensor(file, 'S-kl/student_logits', (bytes) => bytes.setFloat32(0, Number.NaN, true));
      editJson(join(folder, 'one_step.json'), (json) => {
        json.labels[3] = (json.labels[3] + 1) % 10;
      });
      const { rows, passed } = await verify(folder, cpu);
      expect(passed).toBe(false);
      expect(failed(rows)).toEqual([
        'one step: labels | one_step',
        'one step: logits | S-kl',
        'one step: gradients of trainable tensors | P-mse',
      ]);
      expect(rows.find((row) => !row.ok && row.detail.startsWith('P-mse'))?.detail).toBe(
        'P-mse: teacher blocks.1.gist_adapter.linear2.weight',
      );
      const table = formatRows(rows);
      expect(table).toMatch(/FAIL +one step: gradients of trainable tensors/);
      expect(table).toContain('failed: one step: logits, S-kl: student: NaN relative, bound 1.0e-5');
      expect(table).toMatch(/- +drop_path +not present/);
    });

    it('finds a wrong label and wrong learning rates of a run', { timeout: 120_000 }, async () => {
      const folder = copyOf('run', 'models', 'one_step.json', 'one_step.safetensors', 'trajectory.safetensors');
      cpSync(join(REFERENCE, 'trajectory.json'), join(folder, 'trajectory.json'));
      cpSync(join(REFERENCE, 'lr_schedule.json'), join(folder, 'lr_schedule.json'));
      editJson(join(folder, 'one_step.json'), (json) => {
        json.variants = {};
      });
      editJson(join(folder, 'trajectory.json'), (json) => {
        json.variants = { 'S-mse': json.variants['S-mse'] };
        json.labels_train[5] = (json.labels_train[5] + 1) % 10;
        json.lr[40] *= 1 + 1e-9;
      });
      editJson(join(folder, 'lr_schedule.json'), (json) => {
        json.tables[1].lr_per_epoch[7] *= 1 + 1e-9;
      });
      const { rows } = await verify(folder, cpu);
      expect(failed(rows)).toEqual(
        expect.arrayContaining([
          'learning-rate schedules | table 1',
          'trajectory: learning rates | all',
          'trajectory: per-step losses | S-mse',
        ]),
      );
    });

    it('finds a wrong gradient of a Swin and a tensor of another name or shape', { timeout: 60_000 }, async () => {
      const folder = copyOf('swin', 'swin.json', 'swin.safetensors', 'tensor_names');
      editTensor(
        join(folder, 'swin.safetensors'),
        'grad/layers.1.blocks.0.attn.relative_position_bias_table',
        (bytes) => bytes.setFloat32(20, bytes.getFloat32(20, true) + 1e-3, true),
      );
      editTensor(join(folder, 'swin.safetensors'), 'buffer/layers.0.blocks.1.attn_mask', (bytes) =>
        bytes.setFloat32(0, -100, true),
      );
      editJson(join(folder, 'tensor_names', 'swin_small_patch4_window7_224.json'), (json) => {
        const names = json['timm_0.9_and_later'];
        names['layers.2.downsample.norm.weight'] = [383];
      });
      editJson(join(folder, 'tensor_names', 'vit_base_patch16_224.json'), (json) => {
        delete json.tensors['blocks.3.norm1.bias'];
        delete json.tensors['head.bias'];
      });
      const { rows } = await verify(folder, cpu);
      expect(failed(rows)).toEqual([
        'Swin step: relative positions and masks | swin',
        'Swin step: gradients | swin',
        'tensor names: differing from the published | swin_small_patch4_window7_224, timm_0.9_and_later',
        'tensor names: differing from the published | vit_base_patch16_224, tensors',
      ]);
      expect(rows.filter((row) => !row.ok).map((row) => row.deviation)).toEqual([100, expect.anything(), 1, 2]);
    });

    it('says in one sentence what is wrong with a damaged directory', async () => {
      const folder = copyOf('damaged', 'lr_schedule.json', 'one_step.json', 'one_step.safetensors', 'models');
      truncateSync(writable(join(folder, 'one_step.safetensors')), 100_000);
      await expect(verify(folder, cpu)).rejects.toThrow(/^[^\n]*one_step\.safetensors[^\n]*$/);
      await expect(verify(folder, cpu)).rejects.toMatchObject({ name: 'IdatError' });

      truncateSync(writable(join(folder, 'lr_schedule.json')), 500);
      await expect(verify(folder, cpu)).rejects.toThrow(/lr_schedule\.json: this is not valid JSON/);
      await expect(verify(join(work, 'nowhere'), cpu)).rejects.toThrow('there is no such folder');
      mkdirSync(join(work, 'empty'));
      await expect(verify(join(work, 'empty'), cpu)).rejects.toThrow('there is nothing to verify');
    });
  },
);

/** Replaces a read-only copy by a writable one. */
function writable(path: string): string {
  const content = readFileSync(path);
  rmSync(path);
  writeFileSync(path, content);
  return path;
}
