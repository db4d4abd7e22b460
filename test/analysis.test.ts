/** Analyses of a run: their definitions, and a run's from its directory to its files. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testAgreement } from '../src/analysis/agreement.js';
import { attentionMaps, attentionRollout, type BlockAttention, readerOf } from '../src/analysis/attention.js';
import { overlay, pictureOf } from '../src/analysis/pictures.js';
import { principalComponents, squaredDistances } from '../src/analysis/points.js';
import { drawSheet } from '../src/analysis/sheet.js';
import { affinities, tsne, tsneDivergence, tsneGradient } from '../src/analysis/tsne.js';
import { umap } from '../src/analysis/umap.js';
import { picturedKinds, weightsReport } from '../src/analysis/weights.js';
import { blocks } from '../src/backbones/architecture.js';
import { interpret } from '../src/graph/interpret.js';
import { ANALYSES, type Analysis, analyse, evaluateRun, fineTune, IdatError } from '../src/index.js';
import { randomStream } from '../src/random.js';
import { startRuntime } from '../src/runtime/node/start.js';
import type { Runtime } from '../src/runtime/runtime.js';
import { countAgreed } from '../src/step/micro-batch.js';
import { attentionOutput, buildObserved, traceObserved } from '../src/step/observe.js';
import { models, specOf, values } from './small-models.js';
import { makeImageFolder, settings, temporaryFolder } from './train-support.js';

const largestDifference = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((largest, value, i) => Math.max(largest, Math.abs(value - b[i]!)), 0);

describe('attention, of random models of both families with any method', () => {
  let runtime: Runtime;
  beforeAll(async () => {
    runtime = await startRuntime({ device: 'cpu', threads: 1 });
  });
  afterAll(() => runtime.close());

  it('has rows that sum to 1, and is what a float64 evaluation of the graph gives, in every block', async () => {
    await fc.assert(
      fc.asyncProperty(models, async (model) => {
        const spec = specOf({ ...model, dropPath: 0 });
        const { config } = spec.backbone;
        const depth = blocks(config).length;
        const { block, reader } = readerOf(config, depth);
        const seen = [...new Set([...Array.from({ length: depth }, (_, b) => b), block])];
        const options = { model: spec, batch: 1, attention: seen };
        const { outputs, traced } = traceObserved(options);
        const images = values(traced.images.shape, 1);
        const parameters = values([traced.layout.size], 2, 0.2);
        const byName = Object.fromEntries(
          traced.layout.slots.map(({ name, offset, size }) => [name, parameters.subarray(offset, offset + size)]),
        );
        const exact = interpret(Object.values(outputs), { images, ...byName });
        let shapes: ReturnType<typeof buildObserved>['shapes'] = {};
        const session = await runtime.load((sink) => {
          const built = buildObserved({ ...options, sink });
          shapes = built.shapes;
          return built.program;
        });
        const found = await session.run({ images, parameters });
        await session.close();
        Object.keys(outputs).forEach((name, i) => {
          expect(largestDifference(found[name]!, exact[i]!.data), name).toBeLessThan(2e-4);
        });
        for (const b of seen) {
          const shares = found[attentionOutput(b)]!;
          const keys = shapes[attentionOutput(b)]!.at(-1)!;
          for (let at = 0; at < shares.length; at += keys) {
            expect(shares.subarray(at, at + keys).reduce((x, y) => x + y, 0)).toBeCloseTo(1, 5);
          }
        }
        const [, heads, queries, ks] = shapes[attentionOutput(block)] as [number, number, number, number];
        const given = { shares: found[attentionOutput(block)]!, heads, queries, keys: ks };
        const maps = attentionMaps(config, reader, given);
        expect(maps.heads).toHaveLength(heads);
        const total = maps.mean.reduce((x, y) => x + y, 0);
        if (config.family === 'swin' && ks === queries) expect(total).toBeCloseTo(1, 5);
        else expect(total).toBeLessThan(1 + 1e-5);
        expect(Math.min(...maps.mean)).toBeGreaterThan(0);
      }),
      { numRuns: 25, seed: 11 },
    );
  }, 120_000);
});

describe('a map of attention', () => {
  const config = { family: 'vit', imageSize: 4, patchSize: 2, channels: 3, width: 4, depth: 2, heads: 2 } as never;
  /** Two heads, a class token before four patches, and a key that a method has added in front. */
  const rows = (H: number, T: number, K: number) =>
    Float32Array.from({ length: H * T * K }, (_, i) => (i % K) + 1 + Math.floor(i / (T * K)));
  it('is of the class token’s row over the last keys, the patches', () => {
    const maps = attentionMaps(config, 'class token', { shares: rows(2, 5, 6), heads: 2, queries: 5, keys: 6 });
    expect(maps).toEqual({
      grid: [2, 2],
      heads: [
        [3, 4, 5, 6],
        [4, 5, 6, 7],
      ],
      mean: [3.5, 4.5, 5.5, 6.5],
      rollout: null,
    });
  });
  it('of an image that is no square has its rows and columns', () => {
    const oblong = { ...(config as object), imageSize: [4, 6] } as never;
    const maps = attentionMaps(oblong, 'class token', { shares: rows(1, 7, 7), heads: 1, queries: 7, keys: 7 });
    expect(maps).toMatchObject({ grid: [2, 3], mean: [2, 3, 4, 5, 6, 7] });
    const picture = pictureOf(
      Uint8Array.from({ length: 72 }, () => 128),
      [4, 6],
      60,
    );
    const { width, height, pixels } = overlay(picture, [0, 0, 1, 0, 0, 0], maps.grid);
    expect([width, height]).toEqual([60, 40]);
    const green = (x: number, y: number) => pixels[3 * (y * width + x) + 1]!;
    expect(green(59, 0)).toBeGreaterThan(green(0, 0) + 50);
    expect(green(59, 39)).toBe(green(0, 39));
  });
  it('without a class token is the mean over the patches’ queries', () => {
    const shares = Float32Array.from({ length: 16 }, (_, i) => i);
    const { mean } = attentionMaps(config, 'mean of the patches', { shares, heads: 1, queries: 4, keys: 4 });
    expect(mean).toEqual([6, 7, 8, 9]);
  });
});

describe('a map of a Swin', () => {
  it('lays windows, shifted in the last block, back into the grid', () => {
    const swin = { family: 'swin', imageSize: 8, patchSize: 2, depths: [2], windowSize: 2 } as never;
    const shares = new Float32Array(4 * 4 * 4); // four windows of four tokens, all looking at their first
    for (let row = 0; row < 16; row++) shares[4 * row] = 1;
    const { mean, grid } = attentionMaps(swin, 'mean of the patches', { shares, heads: 1, queries: 4, keys: 4 });
    expect(grid).toEqual([4, 4]);
    // shifted by one, the windows begin at row and column 1 and 3
    expect(mean.flatMap((share, place) => (share > 0 ? [[place, share]] : []))).toEqual(
      [5, 7, 13, 15].map((place) => [place, 0.25]),
    );
  });
});

describe('rollout', () => {
  const T = 5;
  const block = (salt: number): BlockAttention => {
    const shares = values([2, T, T], salt).map((value) => Math.exp(value));
    for (let row = 0; row < shares.length; row += T) {
      const sum = shares.subarray(row, row + T).reduce((a, b) => a + b, 0);
      for (let k = 0; k < T; k++) shares[row + k]! /= sum;
    }
    return { shares, heads: 2, queries: T, keys: T };
  };
  it('is the class token’s row of the product of ½Ā + ½I, the last block on the left', () => {
    const given = [block(1), block(2), block(3)];
    const matrix = ({ shares }: BlockAttention) =>
      Array.from({ length: T }, (_, i) =>
        Array.from({ length: T }, (_, j) => {
          const mean = (shares[i * T + j]! + shares[T * T + i * T + j]!) / 2;
          return 0.5 * mean + (i === j ? 0.5 : 0);
        }),
      );
    const times = (a: number[][], b: number[][]) =>
      a.map((row) => b[0]!.map((_, j) => row.reduce((sum, value, k) => sum + value * b[k]![j]!, 0)));
    const product = given.map(matrix).reduce((done, next) => times(next, done));
    expect(largestDifference(attentionRollout(given, 4, 'class token'), product[0]!.slice(1))).toBeLessThan(1e-12);
    expect(product[0]!.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 6);
  });
  it('is refused where keys are others than queries', () => {
    expect(() => attentionRollout([{ ...block(1), keys: T + 1 }], 4, 'class token')).toThrow('leave rollout out');
  });
});

describe('maps of features', () => {
  const fixture = JSON.parse(readFileSync(new URL('fixtures/statistics.json', import.meta.url), 'utf8')).tsne as {
    points: number[][];
    places: number[];
    perplexity: number;
    affinities: number[];
    divergence: number;
    gradient: number[];
  };
  const N = fixture.points.length;
  const P = affinities(squaredDistances(fixture.points), N, fixture.perplexity);
  it('t-SNE has scikit-learn’s affinities, divergence and gradient', () => {
    // its search for the widths ends at a tolerance of 1e-5
    expect(largestDifference(P, fixture.affinities)).toBeLessThan(1e-6);
    expect(P.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
    const places = Float64Array.from(fixture.places);
    expect(tsneDivergence(P, places)).toBeCloseTo(fixture.divergence, 4);
    expect(largestDifference(tsneGradient(P, places, 1), fixture.gradient)).toBeLessThan(1e-5);
  });

  /** Three groups far apart in eight dimensions. */
  const random = randomStream(1, 'groups');
  const groups = Array.from({ length: 60 }, (_, i) =>
    Array.from({ length: 8 }, (_, d) => random.normal() + (d === i % 3 ? 20 : 0)),
  );
  const apart = (places: number[][]) => {
    const away = (i: number, j: number) => Math.hypot(places[i]![0]! - places[j]![0]!, places[i]![1]! - places[j]![1]!);
    const nearest = places.map((_, i) => {
      const others = places.map((_, j) => j).filter((j) => j !== i);
      return others.reduce((best, j) => (away(i, j) < away(i, best) ? j : best));
    });
    return nearest.every((j, i) => j % 3 === i % 3);
  };
  it.each([
    ['t-SNE', (seed: number) => tsne(groups, { perplexity: 10, iterations: 400, seed })],
    ['UMAP', (seed: number) => umap(groups, { neighbours: 10, seed })],
  ])('%s keeps groups together, the same for the same seed', async (_, make) => {
    const first = await make(3);
    expect(apart(first)).toBe(true);
    expect(await make(3)).toEqual(first);
  });
  it('UMAP is another with another seed', async () => {
    expect(await umap(groups, { seed: 1 })).not.toEqual(await umap(groups, { seed: 2 }));
  });
  it('stop when they are told to', async () => {
    await expect(tsne(groups, { signal: AbortSignal.abort('enough') })).rejects.toBe('enough');
    await expect(umap(groups, { signal: AbortSignal.abort('enough') })).rejects.toBe('enough');
  });
  it('begin at principal components, which have all the spread of a plane in space', () => {
    const plane = Array.from({ length: 30 }, (_, i) => {
      const [a, b] = [Math.sin(i), 3 * Math.cos(2.3 * i)];
      return [a + b, a - b, 2 * b];
    });
    const spread = (points: readonly ArrayLike<number>[]) => squaredDistances(points).reduce((x, y) => x + y, 0);
    const found = principalComponents(plane, 2, randomStream(0, 'x'));
    expect(spread(found) / spread(plane)).toBeCloseTo(1, 9);
  });
});

describe('weights', () => {
  const slot = (name: string, offset: number, shape: number[]) => ({
    name,
    offset,
    shape,
    size: shape[0]! * (shape[1] ?? 1),
  });
  const model = {
    ...{ role: 'student' as const, backbone: 'b', method: 'm', blocks: ['blocks.0', 'blocks.1'] },
    slots: [slot('blocks.0.a.weight', 0, [2, 2]), slot('blocks.1.a.weight', 4, [2, 2]), slot('head.bias', 8, [3])],
    parameters: Float32Array.of(-1, 1, -1, 1, 0.25, 0.005, -0.005, 0, 2, 2, 2),
  };
  it('are told by block and kind, kinds with the same bins', () => {
    const report = weightsReport([model]);
    const [first, second, head] = report.models[0]!.tensors;
    expect([first, second, head].map((tensor) => [tensor!.kind, tensor!.block])).toEqual([
      ['a.weight', 0],
      ['a.weight', 1],
      ['head.bias', null],
    ]);
    expect(report.ranges['a.weight']).toBe(1);
    expect(first).toMatchObject({ std: 1, mean: 0, excessKurtosis: -2, nearZero: 0 });
    expect([first!.histogram[0], first!.histogram.at(-1)]).toEqual([2, 2]);
    expect(second!.nearZero).toBe(0.75);
    expect(head!.excessKurtosis).toBe(null);
    expect(picturedKinds(report, 6)).toEqual(['a.weight']);
  });
});

describe('agreement', () => {
  it('counts who is right, and κ takes chance away', () => {
    const answers = (picks: number[]) => ({
      classes: 3,
      labels: [0, 0, 1, 2, 2],
      logits: Float32Array.from(picks.flatMap((pick) => [0, 1, 2].map((k) => (k === pick ? 1 : 0)))),
    });
    const found = testAgreement(answers([0, 0, 1, 0, 1]), answers([0, 1, 2, 0, 2]));
    expect(found).toMatchObject({ images: 5, agreement: 0.4, bothRight: 1, studentAlone: 2 });
    expect(found).toMatchObject({ teacherAlone: 1, bothWrong: 1, sameError: 1 });
    const chance = (3 / 5) * (2 / 5) + (2 / 5) * (1 / 5) + 0;
    expect(found.kappa).toBeCloseTo((0.4 - chance) / (1 - chance), 12);
  });
  it('in a batch leaves padding out', () => {
    const [a, b] = [Float32Array.of(1, 0, 0, 1, 1, 0), Float32Array.of(3, 0, 5, 1, 2, 0)];
    expect(countAgreed(a, b, Float32Array.of(0.5, 0.5, 0))).toBe(1);
    expect(countAgreed(a, b, Float32Array.of(0.3, 0.3, 0.3))).toBe(2);
  });
});

it('a contact sheet holds any name as text', async () => {
  const tile = { href: 'data:image/png;base64,', captions: ['<b>&"\u0007\ud800 </b>'] };
  const sheet = drawSheet({ title: 'a < b', subtitle: [], columns: [], rows: [[tile]], side: 90 });
  expect(sheet).toContain('&lt;b&gt;&amp;&quot; &lt;/b&gt;');
  await sharp(Buffer.from(sheet)).png().toBuffer();
});

describe('a run', () => {
  const root = temporaryFolder();
  const taught = join(root, 'taught');
  let found: Analysis;
  beforeAll(async () => {
    const data = await makeImageFolder(root, 16);
    await fineTune({ ...settings(data, taught), variant: 'iDAT-S-mse' });
    const { teacher: _, ...alone } = settings(data, join(root, 'alone'));
    await fineTune({ ...alone, epochs: 1, warmupEpochs: 0 });
    const images = [join(data, 'red', '0.png')];
    found = await analyse(taught, { rollout: true, images, seed: 5 });
  }, 120_000);
  afterAll(() => rmSync(root, { recursive: true }));

  it('has each analysis as JSON, SVG and PNG', async () => {
    expect(found.parts.map(({ name }) => name)).toEqual([...ANALYSES]);
    for (const { name, files, report, charts } of found.parts) {
      expect(files).toHaveLength(1 + 2 * Object.keys(charts).length);
      expect(JSON.parse(readFileSync(files[0]!, 'utf8'))).toMatchObject({ format: 'idat-analysis-1', analysis: name });
      expect(Object.keys(report).length).toBeGreaterThan(0);
      for (const file of files.slice(1)) {
        if (file.endsWith('.svg')) expect(readFileSync(file, 'utf8')).not.toContain('NaN');
        else expect((await sharp(file).stats()).isOpaque, file).toBe(true);
      }
    }
  });
  const reportOf = (name: string) =>
    found.parts.find((part) => part.name === name)!.report as never as Record<string, never>;

  it('has what eval prints', async () => {
    const score = await evaluateRun(taught);
    const { accuracy, balancedAccuracy, top5 } = reportOf('classes') as never as typeof score;
    expect({ accuracy, balancedAccuracy, top5 }).toEqual({
      accuracy: score.accuracy,
      balancedAccuracy: score.balancedAccuracy,
      top5: null,
    });
    expect((reportOf('calibration') as never as typeof score).ece).toBeCloseTo(score.ece, 5);
  });

  it('tells of both models', () => {
    const roles = (name: string, list: string) =>
      (reportOf(name)[list] as never as { role: string }[]).map(({ role }) => role);
    expect(roles('weights', 'models')).toEqual(['student', 'teacher']);
    expect(roles('attention', 'models')).toEqual(['student', 'teacher']);
    expect(roles('tsne', 'maps')).toEqual(['student', 'teacher']);
    const [{ images }] = reportOf('attention').models as never as [
      { images: { rollout: number[]; heads: number[][] }[] },
    ];
    expect(images[0]!.rollout).toHaveLength(64);
    expect(images[0]!.heads).toHaveLength(4);
    const { epochs } = reportOf('agreement') as never as { epochs: { agreement: number | null }[] };
    expect(epochs).toHaveLength(3);
    for (const { agreement } of epochs) expect(agreement).toBeGreaterThan(0);
  });

  it('is analysed without a folder, in part, and the same again', async () => {
    const out = join(root, 'none');
    const { parts } = await analyse(taught, { only: ['umap', 'hardest'], out: null, seed: 5 });
    expect(existsSync(out)).toBe(false);
    expect(parts.map(({ name, files }) => [name, files.length])).toEqual([
      ['umap', 0],
      ['hardest', 0],
    ]);
    expect(parts[0]!.report).toEqual(reportOf('umap'));
  });

  it('without a teacher has all but agreement, which is refused by name', async () => {
    const { parts } = await analyse(join(root, 'alone'), { out: null, points: 10 });
    expect(parts.map(({ name }) => name)).toEqual(ANALYSES.filter((name) => name !== 'agreement'));
    const refused = analyse(join(root, 'alone'), { only: ['agreement'], out: null });
    await expect(refused).rejects.toThrow('no teacher taught in this run; leave agreement out');
  }, 60_000);

  it.each([
    ['an unknown name', { only: ['weight' as never] }, "unknown analysis 'weight'; did you mean weights? There are"],
    ['no name', { only: [] }, 'no analysis named; there are weights'],
    ['half a point', { points: 4.5 }, 'points: expected a whole number from 4, got 4.5'],
    ['no images', { only: ['attention' as const], images: [] }, 'no images given; give some, or leave them out'],
    [
      'a file that is no image',
      { only: ['attention' as const], images: ['/nowhere.png'] },
      '/nowhere.png: no such file',
    ],
  ])('%s is refused in a sentence', async (_, options, message) => {
    const error = await analyse(taught, { out: null, ...options }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(IdatError);
    expect((error as IdatError).message).toContain(message);
  });

  it('a file in place of the folder is refused before anything is done', async () => {
    writeFileSync(join(root, 'file'), '');
    const refused = analyse(taught, { out: join(root, 'file') });
    await expect(refused).rejects.toMatchObject({ code: 'analysis.out' });
  });

  it('stops when it is told to', async () => {
    const stopped = analyse(taught, { only: ['tsne'], out: null, signal: AbortSignal.abort() });
    await expect(stopped).rejects.toMatchObject({ code: 'run.interrupted' });
  });
});
