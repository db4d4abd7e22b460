/** What a file may ask of time and memory is bounded, and refused in a sentence. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { tensorShapes } from '../src/backbones/architecture.js';
import type { BackboneConfig, SwinConfig } from '../src/backbones/backbone.js';
import { checkSwinSizes } from '../src/backbones/checkpoints/swin-sizes.js';
import { backboneFromFile } from '../src/backbones/node/checkpoint.js';
import { openSafetensors } from '../src/files/node/safetensors-file.js';
import { encodeSafetensors } from '../src/files/safetensors.js';
import { buildForward } from '../src/step/forward.js';

const root = mkdtempSync(join(tmpdir(), 'idat-bounds-'));
afterAll(() => rmSync(root, { recursive: true }));

/** A file with all tensors that a model of these sizes has, each as small as it says. */
function saved(name: string, config: BackboneConfig, metadata: Record<string, string> = {}): string {
  const tensors = [...tensorShapes(config)].map(([tensor, shape]) => ({
    name: tensor,
    shape,
    data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
  }));
  const path = join(root, name);
  writeFileSync(path, encodeSafetensors(tensors, metadata));
  return path;
}

const swin = (sizes: Partial<SwinConfig>): SwinConfig => ({
  ...{ family: 'swin', imageSize: 16, patchSize: 4, channels: 3, embedWidth: 4, depths: [2], heads: [1] },
  ...{ windowSize: 4, mlpRatio: 1, qkvBias: false, layerNormEps: 1e-5, ...sizes },
});

it('a Swin of thousands of tiny blocks, in one stage or in many', async () => {
  await expect(backboneFromFile(saved('deep-swin.safetensors', swin({ depths: [3000] })))).rejects.toThrow(
    'a Swin of 1 stages and 3000 blocks; idat reads those of up to 12 and 256',
  );
  const stages = Array.from({ length: 3000 }, (_, s) =>
    ['norm1.weight', 'attn.relative_position_bias_table', 'mlp.fc1.weight'].map((tensor) => ({
      name: `layers.${s}.blocks.0.${tensor}`,
      shape: tensor === 'norm1.weight' ? [4] : tensor === 'mlp.fc1.weight' ? [4, 4] : [49, 1],
      data: new Float32Array(tensor === 'norm1.weight' ? 4 : tensor === 'mlp.fc1.weight' ? 16 : 49),
    })),
  ).flat();
  const patches = { name: 'patch_embed.proj.weight', shape: [4, 3, 4, 4], data: new Float32Array(192) };
  const path = join(root, 'stages.safetensors');
  writeFileSync(path, encodeSafetensors([patches, ...stages]));
  await expect(backboneFromFile(path)).rejects.toThrow('a Swin of 3000 stages and 3000 blocks');
});

it('a single block that is named as if there were a hundred thousand', async () => {
  const path = saved('named.safetensors', swin({}));
  const file = await openSafetensors(path);
  const tensors = await Promise.all(
    [...file.file.tensors.values()].map(async ({ name, shape }) => ({
      name,
      shape,
      data: await file.readFloat32(name),
    })),
  );
  await file.close();
  const far = { name: 'layers.0.blocks.100000.norm1.weight', shape: [4], data: new Float32Array(4) };
  writeFileSync(path, encodeSafetensors([...tensors, far]));
  await expect(backboneFromFile(path)).rejects.toThrow(/layers\.0\.blocks\.100000\.norm1\.weight belongs to a larger/);
});

it('a Swin as deep as is read can be compiled', async () => {
  const backbone = await backboneFromFile(saved('deepest.safetensors', swin({ depths: [256], imageSize: 16 })));
  const model = { backbone, method: 'linear', methodOptions: {}, classes: 2, dropPath: 0 };
  expect(buildForward({ model, batch: 1 }).program.flops).toBeGreaterThan(0);
});

it('what the windows of a Swin add, in all blocks and heads together', () => {
  const check = (sizes: Partial<SwinConfig>) => () =>
    checkSwinSizes('x', swin({ imageSize: 512, windowSize: 8, ...sizes }));
  // Swin-L at 384 pixels
  const large = { imageSize: 384, windowSize: 12, embedWidth: 192, depths: [2, 2, 18, 2], heads: [6, 12, 24, 48] };
  expect(check(large)).not.toThrow();
  expect(check({ embedWidth: 1024, heads: [256], depths: [200] })).toThrow(/200 blocks of 256 heads add more/);
});

it('a file of a hundred thousand tensors', async () => {
  const data = new Float32Array(1);
  const tensors = Array.from({ length: 100_000 }, (_, i) => ({ name: `blocks.${i}.norm1.weight`, shape: [1], data }));
  const path = join(root, 'many.safetensors');
  writeFileSync(path, encodeSafetensors(tensors));
  await expect(backboneFromFile(path)).rejects.toThrow(/holds 100000 tensors, more than any backbone/);
});

it('a checkpoint of thousands of tiny blocks', async () => {
  const sizes = { imageSize: 8, patchSize: 4, channels: 3, width: 4, depth: 3000, heads: 1, mlpWidth: 4 };
  const config = { family: 'vit' as const, ...sizes, qkvBias: false, layerNormEps: 1e-6 };
  const path = saved('deep.safetensors', config, { num_heads: '1' });
  await expect(backboneFromFile(path)).rejects.toThrow(/a ViT of 3000 blocks; idat reads those of up to 256/);
});
