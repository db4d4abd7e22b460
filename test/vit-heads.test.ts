/** Heads of ViTs whose files do not say them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { publishedHeads } from '../src/backbones/checkpoints/vit-heads.js';
import { backboneFromFile } from '../src/backbones/node/checkpoint.js';
import { encodeSafetensors } from '../src/files/safetensors.js';
import { size } from '../src/graph/tensor.js';

const folder = mkdtempSync(join(tmpdir(), 'idat-heads-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('the heads of published ViTs', () => {
  it.each([
    ['Ti/16', 192, 12, 768, 3],
    ['S/16', 384, 12, 1536, 6],
    ['B/16', 768, 12, 3072, 12],
    ['L/16', 1024, 24, 4096, 16],
    ['H/14', 1280, 32, 5120, 16],
    ['DINOv3 H+/16, products of the MLP joined', 1280, 32, 10240, 20],
    ['g/14', 1408, 40, 6144, 16],
    ['G/14', 1664, 48, 8192, 16],
    ['so400m/14', 1152, 27, 4304, 16],
    ['DINOv2 g/14', 1536, 40, 8192, 24],
    ['SigLIP 2 g-opt/16', 1536, 40, 6144, 16],
    ['timm’s old small', 768, 8, 2304, 8],
  ])('%s', (_, width, depth, mlpWidth, heads) => {
    expect(publishedHeads({ width, depth, mlpWidth })).toBe(heads);
  });
  it('are taken for other depths where all of that width are 64 wide', () => {
    expect(publishedHeads({ width: 768, depth: 6, mlpWidth: 3072 })).toBe(12);
    expect(publishedHeads({ width: 384, depth: 4, mlpWidth: 100 })).toBe(6);
  });
  it('are not guessed where they are not', () => {
    expect(publishedHeads({ width: 1280, depth: 1, mlpWidth: 64 })).toBe(undefined);
    expect(publishedHeads({ width: 1408, depth: 12, mlpWidth: 6144 })).toBe(undefined);
    expect(publishedHeads({ width: 1536, depth: 40, mlpWidth: 4096 })).toBe(undefined);
    expect(publishedHeads({ width: 128, depth: 6, mlpWidth: 512 })).toBe(undefined);
  });
});

/** A ViT of one block in timm's naming, all zeros. */
function written(width: number, metadata: Record<string, string> = {}): string {
  const [M, P] = [8, 4];
  const shapes: Record<string, number[]> = {
    cls_token: [1, 1, width],
    pos_embed: [1, 5, width],
    'patch_embed.proj.weight': [width, 3, P, P],
    'patch_embed.proj.bias': [width],
    'norm.weight': [width],
    'norm.bias': [width],
  };
  const layer = (name: string, out: number, from: number) => {
    shapes[`blocks.0.${name}.weight`] = [out, from];
    shapes[`blocks.0.${name}.bias`] = [out];
  };
  for (const name of ['norm1', 'norm2'])
    for (const part of ['weight', 'bias']) shapes[`blocks.0.${name}.${part}`] = [width];
  layer('attn.qkv', 3 * width, width);
  layer('attn.proj', width, width);
  layer('mlp.fc1', M, width);
  layer('mlp.fc2', width, M);
  const tensors = Object.entries(shapes).map(([name, shape]) => ({ name, shape, data: new Float32Array(size(shape)) }));
  const path = join(folder, `vit-${width}.safetensors`);
  writeFileSync(path, encodeSafetensors(tensors, metadata));
  return path;
}

describe('a file', () => {
  it('of a width whose heads differ is asked for them', async () => {
    await expect(backboneFromFile(written(1280))).rejects.toThrow(
      /cannot tell the number of heads for width 1280; store it as num_heads in the file's metadata, or put the model's config\.json/,
    );
    const { config } = await backboneFromFile(written(1280, { num_heads: '16' }));
    expect(config).toMatchObject({ heads: 16 });
  });
  it('of a usual width is not', async () => {
    expect((await backboneFromFile(written(192))).config).toMatchObject({ heads: 3 });
  });
});
