/** Images that are no squares: from the file's own notes to the run that is merged. */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gridOf, imagesShape, tensorShapes } from '../src/backbones/architecture.js';
import type { ViTConfig } from '../src/backbones/backbone.js';
import { backboneFromFile } from '../src/backbones/node/checkpoint.js';
import { resizePositionEmbedding } from '../src/backbones/position-embedding.js';
import { addConfigFlags } from '../src/cli/config-flags.js';
import { imageChange } from '../src/data/augment.js';
import { preprocess } from '../src/data/preprocess.js';
import { encodeSafetensors } from '../src/files/safetensors.js';
import { size } from '../src/graph/tensor.js';
import { imageSizeOf, imageSizeText, parseImageSize, pixelsOf, sameImageSize } from '../src/image-size.js';
import { fineTune, mergeRun, openClassifier, predict } from '../src/index.js';
import { parseConfig } from '../src/settings/config.js';
import { planOf } from '../src/settings/plan.js';
import { values } from './small-models.js';
import { SMALL_VIT } from './small-variants.js';
import { makeImageFolder, settings, TEACHER, temporaryFolder } from './train-support.js';

const root = temporaryFolder();
afterAll(() => rmSync(root, { recursive: true }));

it('sizes are written and read in one way, squares as their side', () => {
  expect(['224', '160x224', '160×224', '32x32'].map(parseImageSize)).toEqual([224, [160, 224], [160, 224], 32]);
  expect(['', 'x', '1x', '160x224x3', '-1', '1.5'].map(parseImageSize)).toEqual(Array(6).fill(null));
  expect([imageSizeOf(8, 8), imageSizeOf(8, 12)]).toEqual([8, [8, 12]]);
  expect([imageSizeText(8), imageSizeText([8, 12])]).toEqual(['8', '8x12']);
  expect([pixelsOf(8), pixelsOf([8, 12])]).toEqual([64, 96]);
  expect(sameImageSize(8, [8, 8])).toBe(true);
  expect(sameImageSize([8, 12], [12, 8])).toBe(false);
});

it('a grid has the image’s shape', () => {
  const config = { ...SMALL_VIT, imageSize: [8, 12] } as const;
  expect(gridOf(config, 6)).toEqual([2, 3]);
  expect(gridOf({ ...config, imageSize: [12, 8] }, 6)).toEqual([3, 2]);
  for (const tokens of [0, 4, 5, 7, 9]) expect(gridOf(config, tokens), `${tokens}`).toBe(null);
  expect(gridOf(SMALL_VIT, 4)).toEqual([2, 2]);
  expect(imagesShape(config, 5)).toEqual([5, 3, 8, 12]);
});

describe('positions', () => {
  const bumps = (rows: number, columns: number) =>
    Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(Math.floor(i / columns)) + 2 * (i % columns));
  it('are resized along each side by itself', () => {
    // a sum of what depends on the row and what depends on the column stays one
    const alone = resizePositionEmbedding(bumps(4, 6), 1, [4, 6], [8, 3], 0);
    const rows = resizePositionEmbedding(bumps(4, 4), 1, [4, 4], [8, 4], 0);
    const columns = resizePositionEmbedding(bumps(6, 6), 1, [6, 6], [6, 3], 0);
    expect(alone).toHaveLength(24);
    for (let y = 0; y < 8; y++) {
      for (let x = 0; x < 3; x++) {
        const expected = rows[y * 4]! - rows[0]! + columns[x]! - columns[0]! + alone[0]!;
        expect(alone[y * 3 + x]).toBeCloseTo(expected, 5);
      }
    }
  });
  it('of one grid are others than those of the grid on its side', () => {
    const from = bumps(2, 3);
    expect(resizePositionEmbedding(from, 1, [2, 3], [2, 3], 0)).toEqual(from);
    expect(resizePositionEmbedding(from, 1, [2, 3], [3, 2], 0)).not.toEqual(from);
  });
});

describe('images', () => {
  const image = { width: 3, height: 2, pixels: Uint8Array.from({ length: 18 }, (_, i) => i) };
  it('are resized to height and width', () => {
    const planar = preprocess(image, [2, 3]);
    expect([...planar.subarray(0, 6)]).toEqual([0, 3, 6, 9, 12, 15]);
    expect(preprocess(image, [4, 5])).toHaveLength(60);
  });
  it('are mirrored and moved within their own rows', () => {
    const planar = preprocess(image, [2, 3]);
    const look = { flip: true, cropPadding: 0, trivialAugment: false };
    const change = imageChange(look, [7, 7, 7], { seed: 1, phase: 'final', epoch: 0 }, [2, 3])!;
    const looks = new Set(Array.from({ length: 20 }, (_, i) => [...change.look(planar, i)].slice(0, 6).join()));
    expect(looks).toEqual(new Set(['0,3,6,9,12,15', '6,3,0,15,12,9']));
    const moved = imageChange({ ...look, flip: false, cropPadding: 1 }, [7, 7, 7], pass, [2, 3])!;
    const seen = new Set(Array.from({ length: 60 }, (_, i) => [...moved.look(planar, i)].slice(0, 6).join()));
    expect(seen).toContain('9,12,15,7,7,7'); // down by a row
    expect(seen).toContain('3,6,7,12,15,7'); // right by a column
    expect(seen.size).toBe(9);
  });
  const pass = { seed: 1, phase: 'final', epoch: 0 };
});

/** A file of a ViT in timm's naming. */
function written(name: string, config: ViTConfig, metadata: Record<string, string>): string {
  const path = join(root, name);
  const tensors = [...tensorShapes(config)].map(([tensor, shape]) => ({
    name: tensor,
    shape,
    data: values(shape, size(shape), 0.2),
  }));
  writeFileSync(path, encodeSafetensors(tensors, { num_heads: `${config.heads}`, ...metadata }));
  return path;
}

describe('checkpoints', () => {
  const oblong: ViTConfig = { ...SMALL_VIT, imageSize: [8, 12] };
  it('tell height and width in their metadata, also where a square has as many patches', async () => {
    const sizeOf = async (name: string, config: ViTConfig, metadata: Record<string, string>) =>
      (await backboneFromFile(written(name, config, metadata))).config.imageSize;
    expect(await sizeOf('a.safetensors', oblong, { img_size: '8,12' })).toEqual([8, 12]);
    expect(await sizeOf('b.safetensors', { ...SMALL_VIT, imageSize: [4, 16] }, { img_size: '4,16' })).toEqual([4, 16]);
    // what does not fit the tensors counts for nothing
    expect(await sizeOf('c.safetensors', SMALL_VIT, { img_size: '8,12' })).toBe(8);
    expect(await sizeOf('d.safetensors', SMALL_VIT, {})).toBe(8);
  });

  it('that do not tell are refused in a sentence that says how, or are told by the size asked for', async () => {
    const path = written('silent.safetensors', oblong, {});
    await expect(backboneFromFile(path)).rejects.toThrow(
      /7 positions leave no square grid of patches behind 1 tokens in front; .*store height and width as img_size/,
    );
    const { config } = await backboneFromFile(path, { config: { family: 'vit', imageSize: [8, 12] } });
    expect(config.imageSize).toEqual([8, 12]);
  });

  it('are resized from an oblong to a square and back', async () => {
    const path = written('resized.safetensors', oblong, { img_size: '8,12' });
    const { weights } = await backboneFromFile(path, { config: { imageSize: 8 } });
    expect(weights.values('pos_embed', [1, 5, 8])).toHaveLength(40);
    const same = await backboneFromFile(path, { config: { imageSize: [8, 12] } });
    expect(same.weights.values('pos_embed', [1, 7, 8])).toEqual(values([1, 7, 8], 56, 0.2));
    await expect(backboneFromFile(path, { config: { imageSize: [8, 13] } })).rejects.toThrow(
      /image size 8x13 is not a multiple of patch size 4/,
    );
  });

  it('of a Swin are square', async () => {
    const swin = fileURLToPath(new URL('./fixtures/checkpoints/timm-swin.safetensors', import.meta.url));
    const config = { imageSize: [8, 16] } as unknown as { imageSize: number };
    await expect(backboneFromFile(swin, { config })).rejects.toThrow(
      /images of 8x16 pixels are no squares, which a Swin's windows tile; use as many pixels a side both ways/,
    );
  });

  it('of NaFlex are refused by name', async () => {
    const file = (name: string, tensors: Record<string, number[]>) => {
      const path = join(root, name);
      const all = Object.entries(tensors).map(([tensor, shape]) => ({ name: tensor, shape, data: values(shape, 1) }));
      writeFileSync(path, encodeSafetensors(all));
      return path;
    };
    const timm = { 'embeds.proj.weight': [8, 48], 'embeds.pos_embed': [1, 2, 2, 8], 'blocks.0.norm1.weight': [8] };
    const huggingFace = {
      'vision_model.embeddings.patch_embedding.weight': [8, 48],
      'vision_model.embeddings.position_embedding.weight': [4, 8],
      'vision_model.encoder.layers.0.self_attn.q_proj.weight': [8, 8],
    };
    for (const path of [file('timm.safetensors', timm), file('siglip2.safetensors', huggingFace)]) {
      await expect(backboneFromFile(path)).rejects.toThrow(
        /is a NaFlex model, which reads images of any height and width; idat computes models of one size/,
      );
    }
  });
});

describe('settings', () => {
  const sizeOf = (imageSize: number | string) => {
    const parsed = parseConfig({ data: 'none', imageSize });
    return [parsed.imageSize, planOf(parsed).models.student.imageSize];
  };
  it('take a side, or height and width', () => {
    expect(sizeOf(98)).toEqual([98, 98]);
    expect(sizeOf('160x224')).toEqual(['160x224', [160, 224]]);
    expect(sizeOf('98x98')).toEqual([98, 98]);
  });
  it.each(['98', '0x8', '8x', '8x12x3', 'big', 0, 5000])('refuse %j', (imageSize) => {
    expect(() => sizeOf(imageSize)).toThrow(/^imageSize: /);
  });
});

it('on the command line 0x8 is no number', () => {
  const command = addConfigFlags(new Command().exitOverride());
  const read = (text: string) => command.parse(['node', 'idat', '--image-size', text]).opts().imageSize;
  expect(['98', '1e2', '160x224', '0x8', 'big'].map(read)).toEqual([98, 100, '160x224', '0x8', 'big']);
});

describe('a run', () => {
  let data = '';
  const run = join(root, 'run');
  beforeAll(async () => {
    data = await makeImageFolder(root, 8);
    await fineTune({
      ...settings(data, run),
      ...{ student: TEACHER, teacher: null, method: 'bitfit', imageSize: '24x40', epochs: 1, warmupEpochs: 0 },
      ...{ flip: true, cropPadding: 2, trivialAugment: true, cacheDir: join(root, 'cache') },
    });
  });
  it('predicts at its size, and merged answers the same', async () => {
    const image = join(data, 'red', '0.png');
    const [before] = await predict(run, [image]);
    const merged = join(root, 'merged.safetensors');
    await mergeRun(run, merged);
    const { config } = await backboneFromFile(merged);
    expect(config.imageSize).toEqual([24, 40]);
    expect(readFileSync(join(root, 'merged-card.md'), 'utf8')).toContain('| input | RGB, 24 × 40 pixels');
    expect(readFileSync(join(root, 'merged-card.md'), 'utf8')).toContain('24x40 pixels (height × width) was asked for');
    const classifier = await openClassifier(run);
    expect(classifier.imageSize).toEqual([24, 40]);
    const [logits] = await classifier.logits([image]);
    await classifier.close();
    expect(logits!.every(Number.isFinite)).toBe(true);
    expect(before!.predictions).toHaveLength(3);
    // another size is another answer
    cpSync(run, join(root, 'turned'), { recursive: true });
    const path = join(root, 'turned', 'config.json');
    const record = JSON.parse(readFileSync(path, 'utf8'));
    record.settings.imageSize = '40x24';
    writeFileSync(path, JSON.stringify(record));
    await expect(predict(join(root, 'turned'), [image])).rejects.toThrow(/imageSize/);
  });
});
