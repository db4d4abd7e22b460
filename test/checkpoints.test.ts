/** Checkpoints as timm, transformers and NumPy wrote them (tools/make-checkpoints), against the logits of those libraries. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { imagesShape, tensorShapes, traceBackbone } from '../src/backbones/architecture.js';
import type { Backbone } from '../src/backbones/backbone.js';
import { checkpointMetadata } from '../src/backbones/checkpoints/metadata.js';
import { permuted, type StoredTensor } from '../src/backbones/checkpoints/stored-tensor.js';
import { backboneFromFile } from '../src/backbones/node/checkpoint.js';
import { openCheckpoint } from '../src/backbones/node/open.js';
import { resolveBackbone } from '../src/backbones/node/registry.js';
import { craftZip } from '../src/data/testing/zip.js';
import { openSafetensors } from '../src/files/node/safetensors-file.js';
import { encodeSafetensors, parseSafetensorsHeader } from '../src/files/safetensors.js';
import { emit } from '../src/graph/emit.js';
import type { ConstantAttrs } from '../src/graph/ops/constant.js';
import { input, linear } from '../src/graph/ops/index.js';
import { size } from '../src/graph/tensor.js';
import type { ImageSize } from '../src/image-size.js';
import { startRuntime } from '../src/runtime/node/start.js';
import { withWeightFile } from '../src/runtime/node/weight-file.js';
import type { Runtime } from '../src/runtime/runtime.js';
import { buildPrefix } from '../src/step/prefix.js';
import { loadPrefix } from '../src/train/prefix-store.js';
import { backboneChange, backboneRecord } from '../src/train/sources.js';
import { SMALL_VARIANTS } from './small-variants.js';

const fixtures = fileURLToPath(new URL('fixtures/checkpoints/', import.meta.url));
const made: Record<string, { file: string; imageSize: ImageSize; of?: 'features'; logits: number[][] }> = JSON.parse(
  readFileSync(join(fixtures, 'logits.json'), 'utf8'),
);
const fixture = (name: string) => join(fixtures, name);

let folder: string;
let runtime: Runtime;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'idat-checkpoints-'));
  runtime = await startRuntime({ device: 'cpu', threads: 1 });
});
afterAll(async () => {
  await runtime.close();
  rmSync(folder, { recursive: true });
});

const written = (name: string, bytes: Uint8Array | string) => {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
};

/** With the head in the file; without one, or when they are asked for, the features. */
async function ownLogits(
  path: string,
  { config, weights }: Backbone,
  batch: number,
  featuresAlone = false,
): Promise<Float32Array> {
  const images = input('images', imagesShape(config, batch));
  const weight = (name: string, shape: readonly number[]) => weights.constant(name, shape);
  const features = traceBackbone(config, weight, {}, { images, dropPath: null });
  const head = featuresAlone ? undefined : (await openCheckpoint(path)).tensors.get('head.weight')?.shape;
  const logits = head ? linear(features, weight('head.weight', head), weight('head.bias', [head[0]!])) : features;
  const session = await runtime.load(() => emit({ logits }));
  const numbers = Float32Array.from({ length: size(images.shape) }, (_, i) => Math.sin(0.37 * i + 1));
  const result = (await session.run({ images: numbers })).logits!;
  await session.close();
  return result;
}

describe.each(Object.entries(made))('%s', (name, { file, imageSize, of, logits }) => {
  it('gives the logits of the library that wrote it', async () => {
    const sizes = name.endsWith('-resized') ? { config: { imageSize } } : {};
    const backbone = await backboneFromFile(fixture(file), sizes);
    expect(backbone.config.imageSize).toEqual(imageSize);
    const found = await ownLogits(fixture(file), backbone, logits.length, of === 'features');
    const expected = logits.flat();
    expect(found.length).toBe(expected.length);
    expected.forEach((value, i) => {
      expect(Math.abs(found[i]! - value)).toBeLessThan(2e-6);
    });
  });
});

/** The kinds of constants a backbone is traced with, by name of weight. */
async function kinds(path: string): Promise<Map<string, string>> {
  const { config, weights } = await backboneFromFile(path);
  return new Map(
    [...tensorShapes(config)].map(([name, shape]) => {
      const { data } = weights.constant(name, shape).node.attrs as ConstantAttrs;
      return [name, data.kind];
    }),
  );
}

describe('weights', () => {
  it.each(['timm-vit.safetensors', 'timm-swin.safetensors', 'timm-vit-old.safetensors'])(
    'of %s are read from where they lie',
    async (file) => expect(new Set((await kinds(fixture(file))).values())).toEqual(new Set(['file'])),
  );
  it('of Hugging Face’s files are read from where they lie, but for the joined ones', async () => {
    for (const [name, kind] of await kinds(fixture('huggingface-vit-sharded'))) {
      expect([name, kind]).toEqual([name, name.includes('.qkv.') ? 'computed' : 'file']);
    }
  });
  it('of an .npz are read from where they lie, but for kernels and joined ones', async () => {
    for (const [name, kind] of await kinds(fixture('google.npz'))) {
      const computed = /(proj|fc1|fc2|qkv)\.weight$|qkv\.bias$/.test(name);
      expect([name, kind]).toEqual([name, computed ? 'computed' : 'file']);
    }
  });
  it('that a file keeps in the order of Fortran are in order once transposed', () => {
    const load = () => Float32Array.of(1, 2, 3, 4, 5, 6);
    const inFile: StoredTensor = {
      ...{ name: 'kernel', shape: [3, 2], type: '<f4', isFloat: true },
      ...{ place: { path: 'file', offset: 8 }, load },
    };
    const kernel = permuted(inFile, [1, 0]); // [in 2, out 3]
    expect(kernel).toMatchObject({ shape: [2, 3], place: null });
    expect([...kernel.load()]).toEqual([1, 3, 5, 2, 4, 6]);
    expect([...kernel.load(2, 2)]).toEqual([5, 2]);
    expect(permuted(kernel, [1, 0])).toBe(inFile);
  });
});

describe('beside the weights', () => {
  it('transformers’ config gives heads and eps, and the preprocessor the normalisation', async () => {
    const { config, mean, std } = await backboneFromFile(fixture('huggingface-vit'));
    expect(config).toMatchObject({ family: 'vit', heads: 2, layerNormEps: 0.1, depth: 2, width: 8, patchSize: 4 });
    expect({ mean, std }).toEqual({ mean: [0.5, 0.4, 0.3], std: [0.5, 0.6, 0.7] });
  });
  it('eps can be overridden', async () => {
    const { config } = await resolveBackbone(fixture('huggingface-vit'), { layerNormEps: 1e-6 });
    expect(config.layerNormEps).toBe(1e-6);
  });
  it('timm’s config gives the normalisation and the heads', async () => {
    const own = mkdtempSync(join(folder, 'timm-'));
    const bytes = readFileSync(fixture('timm-vit.safetensors'));
    const { tensors } = parseSafetensorsHeader(bytes, bytes.length, 'timm-vit.safetensors');
    const bare = [...tensors.values()].map(({ name, shape, offset, byteLength }) => ({
      ...{ name, shape },
      data: new Float32Array(bytes.buffer.slice(bytes.byteOffset + offset, bytes.byteOffset + offset + byteLength)),
    }));
    writeFileSync(join(own, 'model.safetensors'), encodeSafetensors(bare));
    await expect(backboneFromFile(own)).rejects.toThrow(/cannot tell the number of heads for width 8/);
    const config = { architecture: 'vit', pretrained_cfg: { mean: [0, 0.1, 0.2], std: [1, 2, 3] } };
    writeFileSync(join(own, 'config.json'), JSON.stringify({ ...config, model_args: { num_heads: 4 } }));
    const backbone = await backboneFromFile(own);
    expect(backbone.config).toMatchObject({ heads: 4 });
    expect(backbone).toMatchObject({ mean: [0, 0.1, 0.2], std: [1, 2, 3] });
  });
  it('a Swin without a word is normalised as ImageNet, a ViT by a half', async () => {
    expect((await backboneFromFile(fixture('timm-swin.safetensors'))).mean).toEqual([0.485, 0.456, 0.406]);
    expect((await backboneFromFile(fixture('google.npz'))).mean).toEqual([0.5, 0.5, 0.5]);
  });
});

describe('normalisation is read however it is written', () => {
  const normalised = async (path: string) => {
    const { mean, std } = await backboneFromFile(path);
    return [...mean, ...std];
  };
  const inMetadata = async (metadata: Record<string, string>) => {
    const open = await openSafetensors(fixture('timm-vit.safetensors'));
    const tensors = [];
    for (const { name, shape } of open.file.tensors.values())
      tensors.push({ name, shape, data: await open.readFloat32(name) });
    await open.close();
    return normalised(written('noted.safetensors', encodeSafetensors(tensors, { num_heads: '2', ...metadata })));
  };
  it.each<Record<string, string>>([
    { mean: '0.1,0.2,0.3', std: '0.4,0.5,0.6' },
    { mean: '[0.1, 0.2, 0.3]', std: '[0.4, 0.5, 0.6]' },
    { mean: '(0.1 0.2 0.3)', std: 'tensor([0.4, 0.5, 0.6])' },
    { image_mean: '0.1; 0.2; 0.3', image_std: '.4;.5;.6' },
    { pretrained_cfg: '{"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}' },
    { pixel_mean: '25.5, 51.0, 76.5', pixel_std: '102, 127.5, 153' },
  ])('in metadata: %j', async (metadata) => {
    const found = await inMetadata(metadata);
    [0.1, 0.2, 0.3, 0.4, 0.5, 0.6].forEach((value, i) => {
      expect(found[i]).toBeCloseTo(value, 12);
    });
  });
  it('one number is that of all colours', async () => {
    expect(await inMetadata({ mean: '0.25', std: '[0.5]' })).toEqual([0.25, 0.25, 0.25, 0.5, 0.5, 0.5]);
  });
  it.each(['imagenet', '0.1,0.2', '0.1,0.2,0.3,0.4', '[]'])('%j is refused rather than passed over', async (mean) => {
    await expect(inMetadata({ mean, std: '1,1,1' })).rejects.toThrow(/its metadata says mean is .*; correct it/);
  });
  it('in a preprocessor, also of texts and images', async () => {
    const own = mkdtempSync(join(folder, 'processor-'));
    cpSync(fixture('huggingface-siglip'), own, { recursive: true });
    const image_processor = { image_mean: 0.25, image_std: [0.4, 0.5, 0.6], rescale_factor: 1 / 255 };
    writeFileSync(join(own, 'processor_config.json'), JSON.stringify({ image_processor }));
    expect(await normalised(own)).toEqual([0.25, 0.25, 0.25, 0.4, 0.5, 0.6]);
  });
  it.each([
    ['huggingface-clip', 0.48145466],
    ['huggingface-dinov2-giant', 0.485],
    ['huggingface-dinov3', 0.485],
    ['huggingface-deit-distilled', 0.485],
    ['huggingface-mae', 0.485],
    ['huggingface-siglip', 0.5],
    ['timm-clip', 0.1],
  ])('of %s, else as published weights of the kind have it', async (file, red) => {
    expect((await normalised(fixture(file)))[0]).toBe(red);
  });
});

describe('what no tensor shows', () => {
  const copy = (file: string, config: object | null) => {
    const own = mkdtempSync(join(folder, 'copy-'));
    cpSync(fixture(file), own, { recursive: true });
    rmSync(join(own, 'config.json'));
    if (config) writeFileSync(join(own, 'config.json'), JSON.stringify(config));
    return own;
  };
  it('is read of timm’s config: pooling, activation', async () => {
    const path = copy('timm-average-in-config', {
      architecture: 'vit_small_patch16_224',
      model_args: { num_heads: 2, act_layer: 'quick_gelu', global_pool: 'avg' },
    });
    expect((await backboneFromFile(path)).config).toMatchObject({ pool: 'avg', activation: 'quick_gelu' });
  });
  it.each([
    [{ global_pool: 'avgmax' }, /features are pooled by 'avgmax'; idat computes token, avg and map/],
    [{ model_args: { act_layer: 'relu' } }, /activation is 'relu'; idat computes gelu/],
    [{ architecture: 'vit_base_patch16_rope_ape_224' }, /is a ViT of another kind than its tensors show/],
  ])('is refused when idat does not compute it: %j', async (config, message) => {
    const path = copy('timm-deit3', { architecture: 'deit3_small_patch16_224', ...config });
    await expect(backboneFromFile(path)).rejects.toThrow(message);
  });
  it('is asked for where published models differ', async () => {
    for (const file of ['timm-clip', 'huggingface-clip']) {
      await expect(backboneFromFile(copy(file, null))).rejects.toThrow(
        /cannot tell whether its MLPs compute gelu or quick_gelu.*; store it as act_layer/,
      );
    }
    await expect(backboneFromFile(copy('timm-dinov3', null))).rejects.toThrow(
      /named as DINOv3, .*no architecture.*put timm/,
    );
  });
  it('is not asked for where it is known from elsewhere, as of models by name', async () => {
    for (const file of ['timm-clip', 'timm-dinov3', 'timm-average-in-config']) {
      const { config } = await backboneFromFile(fixture(file));
      expect((await backboneFromFile(copy(file, null), { config })).config).toEqual(config);
    }
  });
  it('a pooling that the tensors do not allow is refused', async () => {
    const path = copy('timm-registers-with-positions', {
      architecture: 'vit',
      global_pool: 'token',
      model_args: { num_heads: 2 },
    });
    await expect(backboneFromFile(path)).rejects.toThrow(/pooled by 'token', and it lacks the tensors/);
  });
});

it.each(Object.entries(SMALL_VARIANTS))('a ViT as %s is read as it was written', async (title, config) => {
  const tensors = [...tensorShapes(config)].map(([name, shape]) => ({
    name,
    shape,
    data: new Float32Array(size(shape)),
  }));
  const notes = { classes: 3, tag: 'test', trained: 'not at all' };
  const metadata = checkpointMetadata({ name: 'small', config, mean: [0.1, 0.2, 0.3], std: [1, 1, 1] }, notes);
  const path = written(`${title.replaceAll(/\W/g, '-')}.safetensors`, encodeSafetensors(tensors, metadata));
  const { config: found, mean } = await backboneFromFile(path);
  expect(found).toEqual(config);
  expect(mean).toEqual([0.1, 0.2, 0.3]);
});

it('positions of registers are kept when the others are resized', async () => {
  const path = fixture('timm-registers-with-positions');
  const before = (await backboneFromFile(path)).weights.values('pos_embed', [1, 8, 8]);
  const { weights } = await backboneFromFile(path, { config: { imageSize: 12 } });
  const after = weights.values('pos_embed', [1, 13, 8]);
  expect([...after.subarray(0, 32)]).toEqual([...before.subarray(0, 32)]);
  expect([...after.subarray(32, 40)]).not.toEqual([...before.subarray(32, 40)]);
});

it.each(['timm-vit.safetensors', 'huggingface-vit', 'google.npz', 'google-training.npz'])(
  'positions of %s are resized alike',
  async (file) => {
    const { config, weights } = await backboneFromFile(fixture(file), { config: { imageSize: 12 } });
    const positions = weights.values('pos_embed', [1, 10, 8]);
    const { weights: before } = await backboneFromFile(fixture(file));
    expect([...positions.subarray(0, 8)]).toEqual([...before.values('pos_embed', [1, 5, 8]).subarray(0, 8)]);
    expect(positions.every(Number.isFinite)).toBe(true);
    expect(config.imageSize).toBe(12);
    const data = weights.constant('pos_embed', [1, 10, 8]).node.attrs as ConstantAttrs;
    expect(data.data.kind).toBe('computed');
  },
);

/** A copy of a fixture's folder with a changed config.json. */
function withConfig(file: string, change: Record<string, unknown>): string {
  const own = mkdtempSync(join(folder, 'changed-'));
  cpSync(fixture(file), own, { recursive: true });
  const config = JSON.parse(readFileSync(join(own, 'config.json'), 'utf8'));
  writeFileSync(join(own, 'config.json'), JSON.stringify({ ...config, ...change }));
  return own;
}

describe('a config.json is refused', () => {
  it.each([
    ['for another activation', { hidden_act: 'mish' }, /hidden_act is 'mish'; idat computes gelu, .*quick_gelu/],
    [
      'of another model',
      { model_type: 'deit' },
      /model_type is 'deit', the tensors of .* are named as those of vit or/,
    ],
    ['of other sizes', { hidden_size: 16 }, /hidden_size is 16, the tensors have 8/],
    ['of another depth', { num_hidden_layers: 3 }, /num_hidden_layers is 3, the tensors have 2/],
    ['of another image size', { image_size: 16 }, /image_size is 16, the tensors have 8/],
    ['of images that are no squares', { image_size: [8, 16] }, /image_size is \[8,16\], the tensors have 8/],
    ['of three sides', { image_size: [8, 8, 8] }, /image_size: .*got \[8,8,8\]/],
    ['with an eps of 0', { layer_norm_eps: 0 }, /epsilon is 0, expected a number between 0 and 1/],
    ['with heads that do not divide the width', { num_attention_heads: 3 }, /number of heads for width 8/],
    ['with text for a number', { num_attention_heads: '2' }, /num_attention_heads: .*got "2"/],
  ])('%s', async (_, change, message) => {
    await expect(backboneFromFile(withConfig('huggingface-vit', change))).rejects.toThrow(message);
  });
  it('of a Swin with absolute positions', async () => {
    const path = withConfig('huggingface-swin', { use_absolute_embeddings: true });
    await expect(backboneFromFile(path)).rejects.toThrow(/use_absolute_embeddings is true/);
  });
});

/** A member of an .npz: a header that claims a shape, and zeros. */
function npy(name: string, shape: string, byteLength: number): { name: string; data: Buffer } {
  const header = `{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, }`.padEnd(86);
  const length = Buffer.of(86, 0);
  return {
    name: `${name}.npy`,
    data: Buffer.concat([
      Buffer.from('\x93NUMPY\x01\0', 'latin1'),
      length,
      Buffer.from(header),
      Buffer.alloc(byteLength),
    ]),
  };
}

describe('a file is refused', () => {
  const torch = (name: string) => [{ name: `archive/${name}`, data: 'x' }];
  const tensor = (name: string, ...shape: number[]) => ({ name, shape, data: new Float32Array(size(shape)) });
  it.each<[string, string, Uint8Array | string, RegExp]>([
    [
      'a PyTorch zip',
      'm.pth',
      craftZip(torch('data.pkl')),
      /PyTorch pickle.*torch\.load.*weights_only.*'[^']*m\.pth' '[^']*m\.safetensors'$/,
    ],
    ['a PyTorch pickle', 'm.bin', Buffer.from('80028a0a6cfc9c46f920', 'hex'), /PyTorch pickle.*save_file/],
    [
      'another zip',
      'm.npz',
      craftZip([{ name: 'a.txt', data: '' }]),
      /zip without arrays of NumPy \(it holds a\.txt\)/,
    ],
    ['HDF5', 'tf_model.h5', Buffer.from('894844460d0a1a0a', 'hex'), /HDF5.*from_tf=True/],
    ['msgpack', 'flax_model.msgpack', Buffer.from('82a6706172616d73', 'hex'), /msgpack.*from_flax=True/],
    ['gzip', 'm.pth.gz', Buffer.from('1f8b0800', 'hex'), /gunzip/],
    [
      'an array of another size',
      's.npz',
      craftZip([npy('cls', '(1, 1, 9)', 32)]),
      /an array \[1, 1, 9\] needs 132 bytes, the archive has 128/,
    ],
    [
      'an array without end',
      'e.npz',
      craftZip([npy('cls', `(${2 ** 50},)`, 32)]),
      /needs \d{16,} bytes, the archive has 128/,
    ],
    ['an array that lies', 'n.npz', craftZip([{ name: 'cls.npy', data: 'x'.repeat(20) }]), /cls\.npy: not an array/],
    [
      'no backbone',
      'w.safetensors',
      encodeSafetensors([tensor('weight', 2)]),
      /holds no backbone idat knows.*: weight/,
    ],
  ])('%s', async (_, name, bytes, message) => {
    await expect(backboneFromFile(written(name, bytes))).rejects.toThrow(message);
  });

  it('with a line to copy in which a name cannot be a command', async () => {
    const path = written('a$(exit 7)\'`b`".pth', craftZip(torch('data.pkl')));
    const { message } = (await backboneFromFile(path).catch((error: Error) => error)) as Error;
    const words = message.slice(message.indexOf('python -c ')).replace('python -c ', "printf '%s\\n' ");
    const [, from, to] = execFileSync('sh', ['-c', words], { encoding: 'utf8' }).split('\n');
    expect([from, to]).toEqual([path, path.replace(/pth$/, 'safetensors')]);
  });

  /** timm-vit.safetensors with tensors added, or left out. */
  const edited = async (add: readonly ReturnType<typeof tensor>[], leaveOut = /^$/) => {
    const open = await openSafetensors(fixture('timm-vit.safetensors'));
    const tensors = [];
    for (const { name, shape } of open.file.tensors.values())
      if (!leaveOut.test(name)) tensors.push({ name, shape, data: await open.readFloat32(name) });
    await open.close();
    return written('edited.safetensors', encodeSafetensors([...tensors, ...add], { num_heads: '2' }));
  };
  it('with layers that no ViT of idat has', async () => {
    const path = await edited([tensor('blocks.0.attn.rel_pos', 8), tensor('blocks.1.attn.rel_pos', 8)]);
    await expect(backboneFromFile(path)).rejects.toThrow(/blocks\.0\.attn\.rel_pos \(and 1 more\) is no part of a ViT/);
    expect((await backboneFromFile(path, { besides: /rel_pos/ })).config).toMatchObject({ depth: 2 });
  });
  it('with a block missing in the middle', async () => {
    const path = await edited([], /^blocks\.0\.norm1/);
    await expect(backboneFromFile(path)).rejects.toThrow(/at least one block/);
  });
  it('with a tensor missing, before anything is trained', async () => {
    const path = await edited([], /^blocks\.1\.mlp\.fc2\.bias/);
    await expect(backboneFromFile(path)).rejects.toThrow(/blocks\.1\.mlp\.fc2\.bias \[8\] is missing/);
  });
  it('with a tensor twice, once wrapped', async () => {
    const path = await edited([tensor('model.norm.bias', 8)]);
    await expect(backboneFromFile(path)).rejects.toThrow(/holds norm\.bias twice/);
  });
  it('with a NaN', async () => {
    const bias = { ...tensor('norm.bias', 8), data: new Float32Array(8).fill(Number.NaN, 3) };
    const path = await edited([bias], /^norm\.bias/);
    await expect(backboneFromFile(path)).rejects.toThrow(/norm\.bias holds NaN at element 3/);
  });
});

it('a repository of the hub without its prefix is told from a missing file', async () => {
  await expect(resolveBackbone('facebook/deit-tiny-patch16-224')).rejects.toThrow(
    /no such file or folder; if a repository of the hub is meant, write hf-hub:facebook\/deit-tiny-patch16-224$/,
  );
  await expect(resolveBackbone('../facebook/deit')).rejects.toThrow(/no such file/);
});

describe('a folder is refused', () => {
  it('with a pickle alone, and told how to convert it', async () => {
    const own = mkdtempSync(join(folder, 'pickle-'));
    writeFileSync(join(own, 'pytorch_model.bin'), '');
    await expect(backboneFromFile(own)).rejects.toThrow(/no model\.safetensors.*pytorch_model\.bin.*torch\.load/);
  });
  it('with nothing', async () => {
    await expect(backboneFromFile(mkdtempSync(join(folder, 'empty-')))).rejects.toThrow(/give the path of a/);
  });
  it('of a run, whose weights are an adapter’s', async () => {
    const own = mkdtempSync(join(folder, 'run-'));
    for (const name of ['student.safetensors', 'config.json', 'metrics.jsonl']) writeFileSync(join(own, name), '{}');
    await expect(backboneFromFile(own)).rejects.toThrow(
      /is the directory of a run: .* no backbone; give the checkpoint/,
    );
  });
  it('with an index that leads out of it', async () => {
    const own = mkdtempSync(join(folder, 'index-'));
    writeFileSync(join(own, 'model.safetensors.index.json'), '{"weight_map":{"a":"../a.safetensors"}}');
    await expect(backboneFromFile(own)).rejects.toThrow(/names the file "\.\.\/a\.safetensors", which is no/);
  });
});

it('a run notices what has changed beside its weights', async () => {
  const then = backboneRecord(await backboneFromFile(fixture('huggingface-vit')));
  expect(backboneChange(then, await backboneFromFile(fixture('huggingface-vit')))).toBe(null);
  const eps = await backboneFromFile(withConfig('huggingface-vit', { layer_norm_eps: 0.2 }));
  expect(backboneChange(then, eps)).toBe('layerNormEps 0.1, now 0.2');
  const own = withConfig('huggingface-vit', {});
  rmSync(join(own, 'preprocessor_config.json'));
  expect(backboneChange(then, await backboneFromFile(own))).toBe('mean [0.5,0.4,0.3], now [0.5,0.5,0.5]');
  expect(backboneChange(then, await backboneFromFile(fixture('timm-vit.safetensors')))).toMatch(/^sha256/);
});

describe('a frozen prefix whose weights are computed', () => {
  /** Large enough that its joined weights do not become part of the program. */
  const large = (): string => {
    const own = mkdtempSync(join(folder, 'large-'));
    const config = { model_type: 'vit', num_attention_heads: 5 };
    writeFileSync(join(own, 'config.json'), JSON.stringify(config));
    const D = 320;
    const block = 'encoder.layer.0.';
    const layer = (name: string, out: number, width: number) =>
      [
        [`${name}.weight`, [out, width]],
        [`${name}.bias`, [out]],
      ] as const;
    const norm = (name: string) => [`${name}.weight`, `${name}.bias`].map((own) => [own, [D]] as const);
    const shapes: (readonly [string, readonly number[]])[] = [
      ['embeddings.cls_token', [1, 1, D]],
      ['embeddings.position_embeddings', [1, 5, D]],
      ['embeddings.patch_embeddings.projection.weight', [D, 3, 4, 4]],
      ['embeddings.patch_embeddings.projection.bias', [D]],
      ...['query', 'key', 'value'].flatMap((part) => layer(`${block}attention.attention.${part}`, D, D)),
      ...layer(`${block}attention.output.dense`, D, D),
      ...layer(`${block}intermediate.dense`, D, D),
      ...layer(`${block}output.dense`, D, D),
      ...[`${block}layernorm_before`, `${block}layernorm_after`, 'layernorm'].flatMap(norm),
    ];
    const tensors = shapes.map(([name, shape], i) => ({
      name,
      shape,
      data: new Float32Array(size(shape)).fill(0.01 * i),
    }));
    writeFileSync(join(own, 'model.safetensors'), encodeSafetensors(tensors));
    return own;
  };

  it('reads them from a temporary file and is known by the same hash again', async () => {
    const backbone = await backboneFromFile(large());
    const model = { backbone, method: 'linear', methodOptions: {}, classes: 3, dropPath: 0 };
    const prefix = buildPrefix(model)!;
    const [first, second] = [await loadPrefix(runtime, model, prefix), await loadPrefix(runtime, model, prefix)];
    expect(second.identity).toBe(first.identity);
    expect(second.session).not.toBe(first.session);
    expect(await loadPrefix(runtime, model, prefix, first)).toBe(first);
    await withWeightFile(async (sink) => {
      const program = prefix.compile(sink);
      expect(program.files.map(({ path }) => path)).toContain(sink.path);
      expect(program.model.length).toBeLessThan(2 ** 20);
    });
    await Promise.all([first.session.close(), second.session.close()]);
  });
});
