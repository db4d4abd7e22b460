/** What a file may ask of time and memory is bounded, and refused in a sentence. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { tensorShapes } from '../src/backbones/architecture.js';
import { backboneFromFile } from '../src/backbones/node/checkpoint.js';
import { encodeSafetensors } from '../src/files/safetensors.js';

const root = mkdtempSync(join(tmpdir(), 'idat-bounds-'));
afterAll(() => rmSync(root, { recursive: true }));

it('a checkpoint of thousands of tiny blocks', async () => {
  const sizes = { imageSize: 8, patchSize: 4, channels: 3, width: 4, depth: 3000, heads: 1, mlpWidth: 4 };
  const config = { family: 'vit' as const, ...sizes, qkvBias: false, layerNormEps: 1e-6 };
  const tensors = [...tensorShapes(config)].map(([name, shape]) => ({
    name,
    shape,
    data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
  }));
  const path = join(root, 'deep.safetensors');
  writeFileSync(path, encodeSafetensors(tensors, { num_heads: '1' }));
  await expect(backboneFromFile(path)).rejects.toThrow(/a ViT of 3000 blocks; idat reads those of up to 256/);
});
