/** Swin: sizes, names, numbers and methods, against the specification and against what timm writes and computes. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { blocks, featureWidth, tensorShapes, traceBackbone } from '../src/backbones/architecture.js';
import type { SwinConfig } from '../src/backbones/backbone.js';
import { attention } from '../src/backbones/block.js';
import type { Hooks, KeysValues } from '../src/backbones/hooks.js';
import { KNOWN_BACKBONES } from '../src/backbones/known-backbones.js';
import { backboneFromFile } from '../src/backbones/node/checkpoint.js';
import { encodeSafetensors, parseSafetensorsHeader } from '../src/files/safetensors.js';
import { gradients } from '../src/graph/differentiate.js';
import { interpret } from '../src/graph/interpret.js';
import { concat, constant, input, sumAll, zeros } from '../src/graph/ops/index.js';
import { cutFrozenPrefix } from '../src/graph/passes/frozen-prefix.js';
import { applyPasses, FORWARD_PASSES, TRAINING_PASSES } from '../src/graph/passes/index.js';
import { quantiseFrozen } from '../src/graph/passes/quantise-frozen.js';
import { type Shape, size, type Tensor, topologicalOrder } from '../src/graph/tensor.js';
import { randomStream } from '../src/random.js';
import { startRuntime } from '../src/runtime/node/start.js';
import type { Runtime } from '../src/runtime/runtime.js';
import { buildForward } from '../src/step/forward.js';
import { type ModelSpec, traceModel } from '../src/step/model.js';
import { buildPrefix } from '../src/step/prefix.js';
import { buildTrainStep } from '../src/step/train-step.js';
import { LARGEST_HERE } from './int8-support.js';
import { frozen, specOf, trace, values } from './small-models.js';
import { temporaryFolder } from './train-support.js';

let runtime: Runtime;
const root = temporaryFolder();
beforeAll(async () => {
  runtime = await startRuntime({ device: 'cpu', threads: 1 });
});
afterAll(async () => {
  await runtime.close();
  rmSync(root, { recursive: true });
});

const sizeOf = (name: string) => KNOWN_BACKBONES.find((b) => b.name.startsWith(name))!.config as SwinConfig;

/** Two stages: a grid of 4 × 4 windows that are shifted, then one of 2 × 2. */
const small: SwinConfig = {
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

const unread = (name: string, shape: Shape) =>
  constant(shape, { kind: 'file', path: name, offset: 0, load: () => new Float32Array(size(shape)) });

describe('sizes', () => {
  it.each([
    ['swin_tiny', 27_519_354],
    ['swin_small', 48_837_258],
    ['swin_base', 86_743_224],
  ])('%s has the published number of parameters', (model, count) => {
    const shapes = [...tensorShapes(sizeOf(model)).values()];
    expect(shapes.reduce((sum, shape) => sum + size(shape), 0)).toBe(count);
  });

  it.each(['sequential', 'parallel', 'parallel-shared'])('%s trains as much as the specification says', (method) => {
    const trained = (model: string, options: Record<string, unknown>, classes: number) => {
      const spec = specOf({ config: sizeOf(model), method, dropPath: 0 }, classes, unread);
      return traceModel({ ...spec, methodOptions: options }, { role: '', batch: 1, training: true, disable: [] }).layout
        .size;
    };
    const headless = (model: string) => trained(model, {}, 2) - 2 * (featureWidth(sizeOf(model)) + 1);
    expect(headless('swin_small')).toBe(81_312);
    expect(headless('swin_base')).toBe(108_384);
    expect(trained('swin_small', {}, 100) + trained('swin_base', {}, 100)).toBe(369_096); // the paper's Table 8
  });

  it('of blocks are counted over all stages', () => {
    expect(blocks(sizeOf('swin_base'))).toHaveLength(24);
    expect(blocks(sizeOf('swin_base'))[4]).toMatchObject({ width: 512, heads: 16, tokens: 196, mlpWidth: 2048 });
    expect(featureWidth(sizeOf('swin_base'))).toBe(1024);
  });

  it('belong to models normalised by the statistics of ImageNet', () => {
    const swins = KNOWN_BACKBONES.filter(({ config }) => config.family === 'swin');
    expect(swins).toHaveLength(9);
    for (const { mean, std } of swins) expect([mean[0], std[2]]).toEqual([0.485, 0.225]);
  });
});

/**
 * timm 1.0.31's SwinTransformer(img_size=56, patch_size=4, window_size=7, embed_dim=8, depths=(2, 2), num_heads=(1, 2),
 * num_classes=10) with random weights, saved by safetensors.torch.save_file, and what it computes of `waves`.
 */
const TIMM = fileURLToPath(new URL('./fixtures/timm-swin.safetensors', import.meta.url));
const TIMM_LOGITS = [
  -1.27598, -1.487919, -0.017714, -0.534711, -1.69496, 0.63935, -2.900361, -1.469307, -0.227493, 1.987904, -1.23903,
  -1.498668, -0.070059, -0.611847, -1.679713, 0.595171, -2.852962, -1.481019, -0.195212, 1.917949,
];
const waves = Float32Array.from({ length: 2 * 3 * 56 * 56 }, (_, i) => Math.sin(i * 1.7 + 0.5));

/** The same weights as files of timm before 0.9 have them, buffers and all. */
function inOldLayout(path: string, windows = 4): void {
  const file = readFileSync(TIMM);
  const { tensors } = parseSafetensorsHeader(file, file.length, TIMM);
  const renamed = [...tensors.values()].map(({ name, shape, offset, byteLength }) => ({
    name: name.replace('layers.1.downsample', 'layers.0.downsample').replace('head.fc.', 'head.'),
    shape,
    data: new Float32Array(file.buffer.slice(file.byteOffset + offset, file.byteOffset + offset + byteLength)),
  }));
  const buffers = [
    { name: 'layers.0.blocks.1.attn_mask', shape: [windows, 49, 49], data: new Float32Array(windows * 49 * 49) },
    { name: 'layers.0.blocks.0.attn.relative_position_index', shape: [49, 49], data: new Int32Array(49 * 49) },
  ];
  writeFileSync(path, encodeSafetensors([...renamed, ...buffers]));
}

describe('a checkpoint of timm', () => {
  const logitsOf = async (path: string, method: string) => {
    const backbone = await backboneFromFile(path);
    const model = { backbone, method, methodOptions: {}, classes: 10, dropPath: 0 };
    const { program, layout } = buildForward({ model, batch: 2 });
    const parameters = new Float32Array(layout.size);
    for (const { name, shape, offset } of layout.slots) parameters.set(backbone.weights.values(name, shape), offset);
    const session = await runtime.load(() => program);
    const { logits } = await session.run({ images: waves, parameters });
    await session.close();
    return logits!;
  };

  // `full` looks biases up in the step, the other has them computed beforehand
  it.each(['linear', 'full'])('has timm’s logits in both of its numberings, as %s', async (method) => {
    const old = join(root, `old-${method}.safetensors`);
    inOldLayout(old);
    for (const path of [TIMM, old]) {
      const logits = await logitsOf(path, method);
      TIMM_LOGITS.forEach((expected, i) => {
        expect(logits[i]!, `${path}, ${i}`).toBeCloseTo(expected, 5);
      });
    }
  });

  it('tells its sizes', async () => {
    const { config, mean } = await backboneFromFile(TIMM);
    const { heads, depths, embedWidth } = { heads: [1, 2], depths: [2, 2], embedWidth: 8 };
    expect(config).toEqual({ ...small, imageSize: 56, windowSize: 7, mlpRatio: 4, heads, depths, embedWidth });
    expect(mean).toEqual([0.485, 0.456, 0.406]);
    expect((await backboneFromFile(TIMM, { config: { imageSize: 112 } })).config.imageSize).toBe(112);
    const larger = join(root, 'larger.safetensors');
    inOldLayout(larger, 16); // an older file's mask tells how many windows there are
    expect((await backboneFromFile(larger)).config.imageSize).toBe(112);
  });

  it('that does not fit what is asked of it is refused in a sentence', async () => {
    await expect(backboneFromFile(TIMM, { config: { imageSize: 60 } })).rejects.toThrow(
      'windows of 7 × 7 patches do not tile an image of 60 pixels in every stage; use a multiple of 56',
    );
    await expect(backboneFromFile(TIMM, { config: { imageSize: 56_000_000 } })).rejects.toThrow('too large, expected');
    await expect(backboneFromFile(TIMM, { config: { windowSize: 5.5 } })).rejects.toThrow(
      /its tensors are no Swin's: patches of 4 pixels .* windows of 5\.5/,
    );
    await expect(backboneFromFile(TIMM, { config: { family: 'vit' } })).rejects.toThrow(
      'the file holds a Swin, where a ViT was expected',
    );
    const missing = join(root, 'missing.safetensors');
    writeFileSync(
      missing,
      encodeSafetensors([{ name: 'layers.0.blocks.0.norm1.weight', shape: [8], data: new Float32Array(8) }]),
    );
    await expect(backboneFromFile(missing)).rejects.toThrow(
      /missing\.safetensors: tensor .* is missing .*; by its names the file is in timm's naming of a Swin/,
    );
    const { weights } = await backboneFromFile(TIMM);
    expect(() => weights.constant('layers.0.downsample.norm.weight', [31])).toThrow(
      'layers.1.downsample.norm.weight is F32 [32], expected float [31] for a Swin of width 8, depths 2,2',
    );
  });
});

const METHODS_WITH_ADAPTERS = ['sequential', 'parallel', 'parallel-shared'];

describe('methods', () => {
  const B = 2;
  // those whose tensors all have a gradient from the start; method-conformance.ts holds the others to theirs
  it.each([...METHODS_WITH_ADAPTERS, 'linear', 'full'])(
    '%s sends a gradient into each of its tensors',
    async (method) => {
      const model: ModelSpec = { ...specOf({ config: small, method, dropPath: 0.1 }), methodOptions: {} };
      const step = buildTrainStep({ student: model, teacher: null, distillation: null, microBatch: B });
      const session = await runtime.load(() => step.program);
      const out = await session.run({
        'student.images': values([B, 3, 64, 64], 1),
        'student.dropPath': new Float32Array(4 * 2 * B).fill(1),
        'student.parameters': step.student.initial(1, 'student'),
        labels: BigInt64Array.of(0n, 2n),
        weights: Float32Array.of(0.5, 0.5),
      });
      await session.close();
      for (const { name, offset, size: length } of step.student.slots) {
        const gradient = out['student.gradient']!.subarray(offset, offset + length);
        expect(
          gradient.some((g) => Math.abs(g) > 1e-12),
          name,
        ).toBe(true);
      }
      const adapters = step.student.slots.filter(({ name }) => name.endsWith('adapter.linear1.weight'));
      const widths = METHODS_WITH_ADAPTERS.includes(method) ? [8, 8, 16, 16] : [];
      expect(adapters.map(({ shape }) => shape[1])).toEqual(widths);
    },
  );

  it('may step in at the norms that only a Swin has, and may not add tokens', () => {
    const seen: [string, Shape][] = [];
    const hooked = (tokens: 'same' | 'more') => {
      const images = input('images', [B, 3, 64, 64]);
      const note = (name: string) => (x: { shape: Shape }) => {
        seen.push([name, x.shape]);
        return x as never;
      };
      const hooks: Hooks = {
        patchEmbedding: note('patchEmbedding'),
        patchNorm: note('patchNorm'),
        mergingNorm: (stage, x) => note(`mergingNorm ${stage}`)(x),
        qkv: (block, qkv) => note(`qkv ${block}`)(qkv),
        finalNorm: note('finalNorm'),
        ...(tokens === 'more' && { tokens: (_: number, x: Tensor) => concat([x, x], 1) }),
      };
      return traceBackbone(small, frozen, hooks, { images, dropPath: null });
    };
    hooked('same');
    expect(seen).toEqual([
      ['patchEmbedding', [B, 256, 8]],
      ['patchNorm', [B, 256, 8]],
      ['qkv 0', [B * 16, 16, 24]],
      ['qkv 1', [B * 16, 16, 24]],
      ['mergingNorm 0', [B, 64, 32]],
      ['qkv 2', [B * 4, 16, 48]],
      ['qkv 3', [B * 4, 16, 48]],
      ['finalNorm', [B, 64, 16]],
    ]);
    expect(() => hooked('more')).toThrow(
      /a Swin's windows tile the tokens of the image: .*\[2, 256, 8\] into \[2, 512, 8\]/,
    );
  });
});
it('keys that a hook adds in front get no bias, the others keep theirs', () => {
  const [T, D] = [2, 2];
  const identity = Float32Array.of(1, 0, 0, 1);
  const weight = (name: string, shape: Shape) =>
    constant(
      shape,
      name.endsWith('qkv.weight')
        ? Float32Array.of(...identity, ...identity, ...identity)
        : identity.subarray(0, size(shape)),
    );
  const block = { index: 0, name: 'b', heads: 1, mlpWidth: 1, qkvBias: false, layerNormEps: 0 };
  const [x, bias] = [values([1, T, D], 1), values([1, 1, T, T], 2)];
  // a key of zeros, whose score is 0, with the value (1, 1)
  const keysValues = (_: number, { keys, values: v }: KeysValues) => ({
    keys: concat([zeros([1, 1, 1, D]), keys], 2),
    values: concat([constant([1, 1, 1, D], Float32Array.of(1, 1)), v], 2),
  });
  const traced = attention(block, weight, { keysValues }, constant([1, T, D], x), constant([1, 1, T, T], bias));
  const found = interpret([traced], {})[0]!.data;
  for (let i = 0; i < T; i++) {
    const rows = [x.subarray(0, D), x.subarray(D)];
    const q = rows[i]!;
    const scores = [0, ...rows.map((k, j) => (q[0]! * k[0]! + q[1]! * k[1]!) / Math.SQRT2 + bias[i * T + j]!)];
    const weights = scores.map(Math.exp);
    const sum = weights.reduce((a, b) => a + b);
    for (let d = 0; d < D; d++) {
      const mixed = (weights[0]! + weights[1]! * rows[0]![d]! + weights[2]! * rows[1]![d]!) / sum;
      // the projection is the identity, its bias (1, 0)
      expect(found[i * D + d]).toBeCloseTo(mixed + (d === 0 ? 1 : 0), 6);
    }
  }
});

describe('passes', () => {
  const B = 2;
  const count = (outputs: readonly Tensor[], op: string) =>
    topologicalOrder(outputs).filter((node) => node.op.name === op).length;

  it('leave no norm its gain where frozen products alone read it, nor queries, keys and values to be split', () => {
    const rewritten = (method: string) =>
      applyPasses([...FORWARD_PASSES, ...TRAINING_PASSES], [trace({ config: small, method, dropPath: 0 }, B).logits]);
    // the norm behind the patches, which the stream starts with, and the last one; eight of blocks and one of merging
    expect(count(rewritten('parallel'), 'layerNorm')).toBe(2);
    expect(count(rewritten('parallel'), 'standardise')).toBe(9);
    expect(count(rewritten('parallel'), 'split')).toBe(0);
    expect(count(rewritten('full'), 'layerNorm')).toBe(11);
  });

  it.each([
    ['sequential', [[256, 8]]],
    [
      'parallel',
      [
        [256, 8],
        [256, 8],
      ],
    ],
    [
      'parallel-shared',
      [
        [256, 8],
        [256, 8],
      ],
    ],
    ['linear', [[16]]],
  ] as const)('cut the frozen prefix of %s as late as it can be', (method, shapes) => {
    for (const dropPath of method === 'linear' ? [0] : [0, 0.2]) {
      const prefix = buildPrefix(specOf({ config: small, method, dropPath }));
      expect(prefix!.tensors.map(({ shape }) => shape)).toEqual(shapes.map((shape) => [1, ...shape]));
    }
    const { logits, images } = trace({ config: small, method: 'full', dropPath: 0 }, B);
    expect(cutFrozenPrefix([logits], images, String)).toBe(null);
  });

  it('compute in 8 bits every frozen product that is large enough, and the biases of windows stay exact', async () => {
    const config = { ...small, embedWidth: 32, heads: [2, 4] };
    const model = { config, method: 'parallel', dropPath: 0 };
    const traced = trace(model, B);
    const loss = sumAll(traced.logits);
    const before = applyPasses(FORWARD_PASSES, [loss, ...gradients(loss, traced.parameters)]);
    // queries, keys, values, projection and two of the MLP for each block, the merging and the patches
    expect(count(quantiseFrozen(before, 'forward'), 'int8Product')).toBe(4 * 6 + 2);
    const run = async (frozen: 'float32' | 'int8') => {
      const { program, layout } = buildForward({
        model: specOf(model, 3, lifelike),
        batch: B,
        frozen,
        int8Largest: LARGEST_HERE,
      });
      const session = await runtime.load(() => program);
      const images = normal([B, 3, 64, 64], 7);
      const { logits } = await session.run({ images, parameters: layout.initial(1, 'student').map((v) => 5 * v) });
      await session.close();
      return logits!;
    };
    const exact = await run('float32');
    const rounded = await run('int8');
    const norm = (v: Float32Array) => Math.hypot(...v);
    expect(norm(rounded.map((v, i) => v - exact[i]!)) / norm(exact)).toBeLessThan(0.05);
    expect(rounded).not.toEqual(exact);
  });
});

const normal = (shape: Shape, seed: number, factor = 1): Float32Array => {
  const random = randomStream(seed, 'normal');
  return Float32Array.from({ length: size(shape) }, () => factor * random.normal());
};

/** Frozen weights as large as a trained model's. */
function lifelike(name: string, shape: Shape): Tensor {
  const isGain = /norm\d?\.weight$/.test(name);
  const spread = shape.length > 1 && name.endsWith('.weight') ? size(shape.slice(1)) ** -0.5 : 0.1;
  return constant(
    shape,
    normal(shape, name.length, spread).map((v) => v + Number(isGain)),
  );
}
