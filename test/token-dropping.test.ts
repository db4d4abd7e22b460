/** Leaving patches out of training images: the op, the draw, and the model that is left. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { droppablePatches, traceBackbone } from '../src/backbones/architecture.js';
import type { ViTConfig } from '../src/backbones/backbone.js';
import type { Hooks } from '../src/backbones/hooks.js';
import { KNOWN_BACKBONES } from '../src/backbones/node/registry.js';
import { gradients } from '../src/graph/differentiate.js';
import { emit } from '../src/graph/emit.js';
import { interpret } from '../src/graph/interpret.js';
import { concat, input, mul, parameter, slice, sumAll, takeTokens } from '../src/graph/ops/index.js';
import { size, type Tensor } from '../src/graph/tensor.js';
import { startRuntime } from '../src/runtime/node/start.js';
import type { Runtime } from '../src/runtime/runtime.js';
import { keptPatchCount, keptPatches } from '../src/step/token-dropping.js';
import { weightValues } from './small-models.js';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await startRuntime({ device: 'cpu', threads: 1 });
});
afterAll(() => runtime.close());

const wave = (count: number, salt: number) => Float32Array.from({ length: count }, (_, i) => Math.sin(1.3 * i + salt));

describe('takeTokens', () => {
  const x = input('x', [2, 4, 3]);
  const indices = input('indices', [2, 3], 'int64');
  const rows = [3, 0, 3, 1, 2, 0];
  const values = wave(size(x.shape), 0);

  it('takes the rows asked for, in order, also twice', async () => {
    const y = takeTokens(x, indices);
    const expected = rows.flatMap((row, i) => {
      const from = (Math.floor(i / 3) * 4 + row) * 3;
      return [...values.subarray(from, from + 3)];
    });
    expect([...interpret([y], { x: values, indices: rows })[0]!.data]).toEqual(expected);
    const session = await runtime.load(() => emit({ y }));
    const found = await session.run({ x: values, indices: BigInt64Array.from(rows, BigInt) });
    expect([...found.y!]).toEqual(expected);
    await session.close();
  });

  it('sends each gradient back to its row', async () => {
    const weights = input('weights', [2, 3, 3]);
    const loss = sumAll(mul(takeTokens(x, indices), mul(takeTokens(x, indices), weights)));
    const [dx] = gradients(loss, [x]) as [Tensor];
    const feeds = { x: values, indices: rows, weights: wave(18, 5) };
    const found = interpret([dx], feeds)[0]!.data;
    const at = (moved: Float64Array) => interpret([loss], { ...feeds, x: moved })[0]!.data[0]!;
    for (let i = 0; i < values.length; i++) {
      const up = Float64Array.from(values);
      const down = Float64Array.from(values);
      up[i]! += 1e-5;
      down[i]! -= 1e-5;
      expect(found[i], `element ${i}`).toBeCloseTo((at(up) - at(down)) / 2e-5, 7);
    }
    const session = await runtime.load(() => emit({ dx }));
    const given = { x: values, indices: BigInt64Array.from(rows, BigInt), weights: feeds.weights };
    (await session.run(given)).dx!.forEach((value, i) => {
      expect(value).toBeCloseTo(found[i]!, 5);
    });
    await session.close();
  });

  it('refuses what does not fit', () => {
    expect(() => takeTokens(x, input('indices', [1, 3], 'int64'))).toThrow(/takeTokens: expected tokens \[B, T, D\]/);
    expect(() => takeTokens(x, input('indices', [2, 3]))).toThrow(/got \[2, 4, 3\] and float32 \[2, 3\]/);
  });
});

describe('keptPatches', () => {
  const patches = 16;
  const kept = keptPatchCount(patches, 0.5);
  const indices = Array.from({ length: 3000 }, (_, i) => i);
  const rows = keptPatches(indices, patches, kept, 7, 'student', 'final', 3);

  it('keeps the share asked for, each patch once, in order', () => {
    expect(kept).toBe(8);
    expect(keptPatchCount(4, 0.99)).toBe(1);
    for (let row = 0; row < 50; row++) {
      const own = [...rows.subarray(row * kept, (row + 1) * kept)].map(Number);
      expect(own).toEqual([...new Set(own)].sort((a, b) => a - b));
    }
  });

  it('keeps each patch, and each pair of patches, equally often', () => {
    const pairs = new Map<string, number>();
    const singles = new Array<number>(patches).fill(0);
    for (let at = 0; at < rows.length; at += kept) {
      const own = [...rows.subarray(at, at + kept)].map(Number);
      for (const [i, a] of own.entries()) {
        singles[a]!++;
        for (const b of own.slice(i + 1)) pairs.set(`${a},${b}`, (pairs.get(`${a},${b}`) ?? 0) + 1);
      }
    }
    // expected 1500 of 3000, standard deviation 27; pairs 700, standard deviation 23
    for (const count of singles) expect(Math.abs(count - 1500)).toBeLessThan(5 * 27);
    expect(pairs.size).toBe((patches * (patches - 1)) / 2);
    for (const count of pairs.values()) expect(Math.abs(count - 700)).toBeLessThan(5 * 23);
  });

  it('depends on the image and the epoch, not on the images beside it', () => {
    const alone = keptPatches([41], patches, kept, 7, 'student', 'final', 3);
    expect([...alone]).toEqual([...rows.subarray(41 * kept, 42 * kept)]);
    const next = keptPatches(indices, patches, kept, 7, 'student', 'final', 4);
    const same = indices.filter(
      (i) => next.subarray(i * kept, (i + 1) * kept).join() === rows.subarray(i * kept, (i + 1) * kept).join(),
    );
    expect(same.length).toBeLessThan(10);
  });
});

it('a Swin needs all of its patches', () => {
  const swin = KNOWN_BACKBONES.find(({ config }) => config.family === 'swin')!;
  expect(() => droppablePatches(swin.config)).toThrow(/dropTokens: a swin needs all of its patches/);
});

it('a ViT without some patches computes what one does whose other tokens are cut out', () => {
  const config: ViTConfig = {
    family: 'vit',
    imageSize: 6,
    patchSize: 2,
    channels: 3,
    width: 4,
    depth: 2,
    heads: 2,
    mlpWidth: 5,
    qkvBias: true,
    layerNormEps: 1e-6,
  };
  const images = input('images', [2, 3, 6, 6]);
  const kept = [
    [0, 3, 4, 8],
    [1, 2, 6, 7],
  ];
  const run = (hooks: Hooks, keptTokens: Tensor | null) => {
    const weights = new Map<string, Tensor>();
    const weight = (name: string, shape: readonly number[]) => {
      if (!weights.has(name)) weights.set(name, parameter(name, shape));
      return weights.get(name)!;
    };
    const features = traceBackbone(config, weight, hooks, { images, dropPath: null, keptPatches: keptTokens });
    const loss = sumAll(mul(features, input('out', [2, 4])));
    const values: Record<string, ArrayLike<number>> = {
      images: wave(216, 1),
      out: wave(8, 2),
      kept: kept.flat(),
    };
    for (const [name, t] of weights) values[name] = weightValues(name, t.shape);
    const wrt = ['pos_embed', 'cls_token', 'patch_embed.proj.weight', 'blocks.1.attn.qkv.weight'];
    return interpret(
      [
        features,
        ...gradients(
          loss,
          wrt.map((name) => weights.get(name)!),
        ),
      ],
      values,
    );
  };
  const cutOut: Hooks = {
    tokens: (block, x) => {
      if (block > 0) return x;
      const token = (image: number, at: number) => slice(slice(x, 0, image, image + 1), 1, at, at + 1);
      const rows = kept.map((own, image) =>
        concat(
          [0, ...own.map((patch) => patch + 1)].map((at) => token(image, at)),
          1,
        ),
      );
      return concat(rows, 0);
    },
  };
  const expected = run(cutOut, null);
  run({}, input('kept', [2, 4], 'int64')).forEach(({ data }, which) => {
    data.forEach((value, i) => {
      expect(value, `output ${which}, element ${i}`).toBeCloseTo(expected[which]!.data[i]!, 10);
    });
  });
  expect(expected[1]!.data.some((value) => Math.abs(value) > 1e-3)).toBe(true);
});
