/** Training from random weights: where it starts, what it minimises, how it resumes, and the model it leaves. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ViTConfig } from '../src/backbones/backbone.js';
import { backboneFromFile } from '../src/backbones/node/checkpoint.js';
import { randomBackbone } from '../src/backbones/random-weights.js';
import { crossEntropy } from '../src/distill/cross-entropy.js';
import { openSafetensors } from '../src/files/node/safetensors-file.js';
import { interpret } from '../src/graph/interpret.js';
import { input } from '../src/graph/ops/index.js';
import { fineTune, pretrain, resume } from '../src/index.js';
import { startRuntime } from '../src/runtime/node/start.js';
import type { PretrainInput } from '../src/settings/pretrain.js';
import type { ModelSpec } from '../src/step/model.js';
import { loadModel } from '../src/train/evaluate.js';
import { clipGradient, gradientNorm } from '../src/train/gradient-norm.js';
import type { Progress } from '../src/train/progress.js';
import { readState } from '../src/train/state.js';
import { makeImageFolder, temporaryFolder } from './train-support.js';

const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const root = temporaryFolder();
afterAll(() => rmSync(root, { recursive: true }));

const SIZES = { imageSize: 8, patchSize: 2, width: 16, depth: 2, heads: 2 };
let data: string;

const recipe = (out: string, more: Partial<PretrainInput> = {}): PretrainInput => ({
  data,
  out,
  ...SIZES,
  name: 'vit_mite_patch2_8.colours',
  epochs: 4,
  warmupEpochs: 1,
  batchSize: 12,
  microBatch: 5,
  flip: true,
  cropPadding: 2,
  trivialAugment: true,
  labelSmoothing: 0.1,
  dropTokens: 0.5,
  fullTokenEpochs: 1,
  clipNorm: 1,
  evalEvery: 2,
  device: 'cpu',
  threads: 1,
  ...more,
});

const bytesOf = (dir: string) =>
  Object.fromEntries(
    ['state.safetensors', 'student.safetensors', 'metrics.jsonl', 'model.safetensors'].map((name) => [
      name,
      readFileSync(join(dir, name)).toString('base64'),
    ]),
  );

const undisturbed = join(root, 'undisturbed');
const events: Progress[] = [];
beforeAll(async () => {
  data = await makeImageFolder(root);
  await pretrain(recipe(undisturbed), { onProgress: (event) => events.push(event) });
}, 120_000);

describe('random weights', async () => {
  const config: ViTConfig = {
    ...{ family: 'vit', imageSize: 32, patchSize: 4, channels: 3, width: 128, depth: 6, heads: 4 },
    ...{ mlpWidth: 512, qkvBias: true, layerNormEps: 1e-6 },
  };
  const { weights, sha256 } = await randomBackbone('x', config, 1, 'student');
  const statistics = (name: string, shape: number[]) => {
    const values = weights.values(name, shape);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    return { mean, deviation: Math.sqrt(variance), largest: Math.max(...values.map(Math.abs)) };
  };

  it.each([
    ['blocks.3.mlp.fc1.weight', [512, 128], 0.02],
    ['blocks.0.attn.qkv.weight', [384, 128], 0.02],
    ['pos_embed', [1, 65, 128], 0.02],
    ['cls_token', [1, 1, 128], 1e-6],
  ])('%s is normal, as in timm', (name, shape, deviation) => {
    const found = statistics(name, shape);
    const count = shape.reduce((a, b) => a * b);
    expect(Math.abs(found.mean)).toBeLessThan((5 * deviation) / Math.sqrt(count));
    expect(Math.abs(found.deviation / deviation - 1)).toBeLessThan(5 / Math.sqrt(2 * count));
    expect(found.largest).toBeGreaterThan(2 * deviation);
  });

  it('the patch embedding is uniform, as PyTorch makes a convolution', () => {
    const bound = 1 / Math.sqrt(48);
    for (const [name, shape] of [
      ['patch_embed.proj.weight', [128, 3, 4, 4]],
      ['patch_embed.proj.bias', [128]],
    ] as const) {
      const found = statistics(name, [...shape]);
      expect(found.largest).toBeLessThan(bound);
      expect(found.largest).toBeGreaterThan(0.95 * bound);
      expect(Math.abs((found.deviation * Math.sqrt(3)) / bound - 1)).toBeLessThan(0.1);
    }
  });

  it('biases are 0 and norms the identity', () => {
    expect(new Set(weights.values('blocks.5.attn.proj.bias', [128]))).toEqual(new Set([0]));
    expect(new Set(weights.values('norm.bias', [128]))).toEqual(new Set([0]));
    for (const name of ['norm.weight', 'blocks.2.norm1.weight', 'blocks.2.norm2.weight'])
      expect(new Set(weights.values(name, [128]))).toEqual(new Set([1]));
  });

  it('follow from sizes, seed and role', async () => {
    const same = await randomBackbone('y', config, 1, 'student');
    expect(same.sha256).toBe(sha256);
    // runs of earlier versions know their start by this: another value, and they cannot be resumed
    expect(sha256).toBe('974d45a6e151ef6abd322724e556d8fc9d51613b268ccea751d85e6b5d5dde73');
    expect(same.weights.values('pos_embed', [1, 65, 128])).toEqual(weights.values('pos_embed', [1, 65, 128]));
    for (const other of [
      await randomBackbone('x', config, 2, 'student'),
      await randomBackbone('x', config, 1, 'teacher'),
      await randomBackbone('x', { ...config, heads: 2 }, 1, 'student'),
    ])
      expect(other.sha256).not.toBe(sha256);
  });
});

describe('label smoothing', () => {
  const logits = input('logits', [2, 3]);
  const labels = input('labels', [2], 'int64');
  const rows = [
    [1, 2, 3],
    [0, 0, Math.log(2)],
  ];
  const lossOf = (smoothing?: number) => [
    ...interpret([crossEntropy(logits, labels, smoothing)], { logits: rows.flat(), labels: [2, 0] })[0]!.data,
  ];

  it('spreads its share of the target over all classes', () => {
    // softmax of row 1: 1/4, 1/4, 1/2. Targets at 0.3: 0.1, 0.1, 0.8 and 0.8, 0.1, 0.1
    const z = Math.log(Math.exp(1) + Math.exp(2) + Math.exp(3));
    const expected = [
      -(0.1 * (1 - z) + 0.1 * (2 - z) + 0.8 * (3 - z)),
      0.8 * Math.log(4) + 0.1 * Math.log(4) + 0.1 * Math.log(2),
    ];
    lossOf(0.3).forEach((loss, i) => {
      expect(loss).toBeCloseTo(expected[i]!, 7);
    });
  });

  it('is off unless asked for', () => {
    expect(lossOf()).toEqual(lossOf(0));
    expect(lossOf()[1]).toBeCloseTo(Math.log(4), 12);
  });
});

describe('clipping', () => {
  it('shortens what is longer than the limit and leaves the rest alone', () => {
    const long = Float32Array.of(3, 0, -4);
    expect(gradientNorm(long)).toBe(5);
    clipGradient(long, 5, 1);
    [0.6, 0, -0.8].forEach((value, i) => {
      expect(long[i]).toBeCloseTo(value, 6);
    });
    const short = Float32Array.of(0.3, 0.4);
    clipGradient(short, gradientNorm(short), 1);
    expect(short).toEqual(Float32Array.of(0.3, 0.4));
    expect(gradientNorm(Float32Array.of(1, Number.NaN))).toBeNaN();
  });

  it('is what the optimiser sees', async () => {
    const norms: number[] = [];
    for (const clipNorm of [undefined, 0.01]) {
      const out = join(root, `clip-${clipNorm}`);
      const one = { epochs: 1, fullTokenEpochs: 0, batchSize: 48, warmupEpochs: 0, evalEvery: 0 };
      await pretrain(recipe(out, { ...one, clipNorm }));
      const { adamw } = (await readState(await openSafetensors(join(out, 'state.safetensors')))).student;
      expect(adamw.steps).toBe(1);
      norms.push(gradientNorm(adamw.firstMoment) / (1 - 0.9));
    }
    expect(norms[0]).toBeGreaterThan(0.1);
    expect(norms[1]).toBeCloseTo(0.01, 6);
  });
});

describe('a pretraining run', () => {
  const metrics = () =>
    readFileSync(join(undisturbed, 'metrics.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));

  it('learns, and looks at the test images as often as it was told', () => {
    const lines = metrics();
    expect(lines.at(-1).loss.student).toBeLessThan(lines[0].loss.student);
    expect(lines.map(({ testAccuracy }: { testAccuracy: number | null }) => testAccuracy !== null)).toEqual([
      false,
      true,
      false,
      true,
    ]);
    const result = JSON.parse(readFileSync(join(undisturbed, 'result.json'), 'utf8'));
    expect(result.accuracy).toBe(lines.at(-1).testAccuracy);
  });

  it('follows the schedule from step to step', () => {
    const rates = events.flatMap((event) => (event.kind === 'step' ? [event.lr] : []));
    expect(new Set(rates).size).toBe(rates.length);
    // three steps an epoch: the warm-up's rise, and the cosine at 5/3 of 4 epochs
    expect(rates.slice(0, 3)).toEqual([0, 1, 2].map((step) => expect.closeTo(1e-7 + (step / 3) * (1.5e-3 - 1e-7), 12)));
    expect(rates[5]).toBeCloseTo(1e-8 + 0.5 * (1.5e-3 - 1e-8) * (1 + Math.cos((Math.PI * 5) / 12)), 12);
  });

  it.each([
    ['where patches are left out', 2],
    ['between the epochs', 6],
    ['in the epoch with all patches', 11],
  ])('ends with the same bytes after being stopped %s', async (_where, steps) => {
    const out = join(root, `stopped-${steps}`);
    const stop = new AbortController();
    let seen = 0;
    const onProgress = ({ kind }: Progress) => kind === 'step' && ++seen === steps && stop.abort();
    await expect(pretrain(recipe(out), { onProgress, signal: stop.signal })).rejects.toMatchObject({
      code: 'run.interrupted',
    });
    expect(existsSync(join(out, 'model.safetensors'))).toBe(false);
    await resume(out);
    expect(bytesOf(out)).toEqual(bytesOf(undisturbed));
  });

  it('leaves a model that computes the same logits when it is opened like any other', async () => {
    const backbone = await backboneFromFile(join(undisturbed, 'model.safetensors'));
    expect(backbone).toMatchObject({
      config: { ...SIZES, mlpWidth: 64, channels: 3, qkvBias: true, layerNormEps: 1e-6 },
    });
    const random = await randomBackbone('x', backbone.config as ViTConfig, 42, 'student');
    const spec = (of: typeof backbone, method: string): ModelSpec => ({
      ...{ backbone: of, method, methodOptions: {}, classes: 3, dropPath: 0 },
    });
    const images = Float32Array.from({ length: 4 * 192 }, (_, i) => Math.sin(i));
    const runtime = await startRuntime({ device: 'cpu', threads: 1 });
    const tensors = await openSafetensors(join(undisturbed, 'model.safetensors'));
    const logits = async (model: ModelSpec) => {
      const classifier = await loadModel(runtime, model, { images: 4 });
      const parameters = new Float32Array(classifier.layout.size);
      for (const { name, offset } of classifier.layout.slots) parameters.set(await tensors.readFloat32(name), offset);
      return classifier.output({ images }, parameters);
    };
    // trained tensors over random weights, and a frozen checkpoint with the trained head
    const trained = await logits(spec(random, 'full'));
    (await logits(spec(backbone, 'linear'))).forEach((value, i) => {
      expect(value).toBeCloseTo(trained[i]!, 5);
    });
    await tensors.close();
    await runtime.close();
  });

  it('leaves a model that can be fine-tuned by its path', async () => {
    const student = join(undisturbed, 'model.safetensors');
    const out = join(root, 'tuned');
    const result = await fineTune({ data, student, out, epochs: 1, device: 'cpu', threads: 1, microBatch: 8 });
    expect(result.trainableParameters.head).toBe(3 * 17);
  });

  it('writes the bundled models’ metadata and a card', async () => {
    const file = await openSafetensors(join(undisturbed, 'model.safetensors'));
    expect(file.file.metadata).toMatchObject({
      ...{ architecture: 'vit_mite_patch2_8', tag: 'colours', img_size: '8', patch_size: '2', embed_dim: '16' },
      ...{ depth: '2', num_heads: '2', mlp_ratio: '4', num_classes: '3', mean: '0.5,0.5,0.5', std: '0.5,0.5,0.5' },
    });
    await file.close();
    const card = readFileSync(join(undisturbed, 'model-card.md'), 'utf8');
    const { correct, total } = JSON.parse(readFileSync(join(undisturbed, 'result.json'), 'utf8'));
    expect(card).toContain('# vit_mite_patch2_8.colours');
    expect(card).toContain(`${correct} of ${total} images`);
    expect(card).toContain('50.00 % of each image, none in the last 1 epochs');
    for (const { epoch } of metrics()) expect(card).toContain(`| ${epoch + 1} | `);
    expect(card).toContain(metrics()[3].loss.student.toFixed(4));
  });
});

it('fine-tuning on moved images computes the frozen part in every epoch, and says so once', async () => {
  const student = join(undisturbed, 'model.safetensors');
  const notes = async (cropPadding: number, out: string) => {
    const cacheDir = join(root, `${out}-cache`);
    const settings = { data, student, epochs: 2, device: 'cpu', threads: 1, microBatch: 8, cacheDir } as const;
    const found: string[] = [];
    const onProgress = (event: Progress) => event.kind === 'note' && found.push(event.text);
    await fineTune({ ...settings, method: 'linear', cropPadding, out: join(root, out) }, { onProgress });
    const kept = readdirSync(cacheDir).filter((name) => name.startsWith('prefix-')).length;
    return { kept, notes: found.filter((text) => text.startsWith('training images are changed')).length };
  };
  expect(await notes(2, 'moved')).toEqual({ kept: 0, notes: 1 });
  expect((await notes(0, 'plain')).notes).toBe(0);
  expect(readdirSync(join(root, 'plain-cache')).some((name) => name.startsWith('prefix-'))).toBe(true);
});

describe('idat pretrain', () => {
  const idat = (...args: string[]) => spawnSync(process.execPath, [MAIN, 'pretrain', ...args], { encoding: 'utf8' });

  it.each([
    [['--heads', '3'], /^heads: expected a number that divides the width 128, got 3$/m],
    [['--patch-size', '5'], /^patchSize: expected a number that divides the image size 32, got 5$/m],
    [['--drop-tokens', '1'], /^dropTokens: .*<1, got 1$/m],
    [
      ['--drop-tokens', '0.5', '--epochs', '3', '--full-token-epochs', '3'],
      /^fullTokenEpochs: expected fewer than the 3 epochs/m,
    ],
    [['--label-smoothing', '-0.1'], /^labelSmoothing: .*>=0, got -0.1$/m],
    [['--clip-norm', '0'], /^clipNorm: .*>0, got 0$/m],
    [['--name', '../x'], /^name: expected a name such as vit_tiny_patch4_32\.flowers, got "\.\.\/x"$/m],
    [['--widht', '64'], /did you mean --width\?/i],
  ])('%j is refused in a sentence', (args, message) => {
    const { status, stderr, stdout } = idat(data, ...args);
    expect(stderr).toMatch(message);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  });

  it('--help tells its flags with their defaults', () => {
    const { stdout } = idat('--help');
    expect(stdout).toMatch(/--width <number>\s+numbers that a token is made of \(default: 128\)/);
    expect(stdout).toMatch(/--weight-decay <number>\s.*\(default: 0\.05\)/);
    expect(stdout).not.toContain('--adapter');
  });
});
