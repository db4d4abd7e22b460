/**
 * The net under every redesign: hashes of what is compiled for configurations that together reach every family of methods,
 * both backbones, 8-bit products, frozen prefixes, features and dropped tokens.
 *
 * A hash that moves means that something else is computed, or the same in another way. Where that is meant, store the new
 * ones (IDAT_STORE_PROGRAMS=1 npx vitest run test/emitted-programs.test.ts) and say in the commit what changed and why.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { Backbone, BackboneConfig, SwinConfig, ViTConfig, ViTVariations } from '../src/backbones/backbone.js';
import type { Program, WeightSink } from '../src/graph/emit.js';
import { constant } from '../src/graph/ops/index.js';
import { size } from '../src/graph/tensor.js';
import { randomStream } from '../src/random.js';
import { type FineTuneInput, parseConfig } from '../src/settings/config.js';
import { planOf } from '../src/settings/plan.js';
import { buildForward } from '../src/step/forward.js';
import { modelSpecs, prefixesOf, stepOf } from '../src/train/specs.js';

const CLASSES = 5;
const MICRO_BATCH = 2;

const vit = (width: number, depth: number, variations: ViTVariations = {}): ViTConfig => ({
  family: 'vit',
  imageSize: 8,
  patchSize: 4,
  channels: 3,
  width,
  depth,
  heads: 2,
  mlpWidth: 2 * width,
  qkvBias: true,
  layerNormEps: 1e-6,
  ...variations,
});

const swin = (embedWidth: number): SwinConfig => ({
  family: 'swin',
  imageSize: 32,
  patchSize: 4,
  channels: 3,
  embedWidth,
  depths: [2, 2],
  heads: [1, 2],
  windowSize: 4,
  mlpRatio: 2,
  qkvBias: true,
  layerNormEps: 1e-5,
});

/** Weights in a file that is nowhere: the program refers to them by path and offset. */
function backbone(name: string, config: BackboneConfig): Backbone {
  const values = (tensor: string, shape: readonly number[]) => {
    const random = randomStream(1, name, tensor);
    return Float32Array.from({ length: size(shape) }, () => random.uniform() - 0.5);
  };
  const offsets = new Map<string, number>();
  let end = 0;
  const offsetOf = (tensor: string, bytes: number) => {
    if (!offsets.has(tensor)) {
      offsets.set(tensor, end);
      end += bytes;
    }
    return offsets.get(tensor)!;
  };
  return {
    name,
    config,
    weights: {
      has: () => true,
      values,
      constant: (tensor, shape) =>
        constant(shape, {
          kind: 'file',
          path: `/${name}`,
          offset: offsetOf(tensor, 4 * size(shape)),
          load: (first = 0, count = size(shape) - first) => values(tensor, shape).subarray(first, first + count),
        }),
    },
    mean: [0.5, 0.5, 0.5],
    std: [0.5, 0.5, 0.5],
    path: `/${name}`,
    sha256: name,
  };
}

const models = {
  student: backbone('student', vit(16, 3)),
  teacher: backbone('teacher', vit(8, 2)),
  swinStudent: backbone('swin-student', swin(8)),
  swinTeacher: backbone('swin-teacher', swin(4)),
  dinov2: backbone('dinov2', vit(16, 3, { layerScale: true, registers: 2 })),
  clip: backbone('clip', vit(16, 3, { preNorm: true, patchBias: false, activation: 'quick_gelu' })),
  siglip: backbone('siglip', vit(16, 3, { classToken: false, activation: 'gelu_tanh', pool: 'map' })),
  dinov3: backbone(
    'dinov3',
    vit(16, 3, { positions: 'none', rotary: 100, registers: 2, layerScale: true, activation: 'silu', gatedMlp: true }),
  ),
  averaged: backbone('averaged', vit(16, 3, { pool: 'avg', normAfterPool: true, qkNorm: true })),
  oblong: backbone('oblong', {
    ...vit(16, 2, { positions: 'none', rotary: 100, registers: 2 }),
    imageSize: [8, 12],
  }),
  distilled: backbone('distilled', vit(16, 3, { distillationToken: true, pool: 'distilled' })),
};

interface Case {
  readonly student?: Backbone;
  readonly teacher?: Backbone;
  readonly settings: Partial<FineTuneInput>;
}

const taught = { teacher: 'teacher' };
const CASES: Record<string, Case> = {
  'sequential alone': { settings: { method: 'sequential' } },
  'iDAT-P-kl, drop path': { settings: { ...taught, variant: 'iDAT-P-kl', dropPath: 0.1 } },
  'iDAT-PS-mse, weight fed, no prefix': {
    settings: { ...taught, variant: 'iDAT-PS-mse', betaEnd: 0, disable: ['frozen-prefix'] },
  },
  'lora, label smoothing, gradient to the teacher': {
    settings: { ...taught, method: 'lora', labelSmoothing: 0.1, distillGradient: 'teacher', alpha: 0.5, beta: 2 },
  },
  'ssf taught by arc, squared temperature': {
    settings: { ...taught, method: 'ssf', teacherMethod: 'arc', distill: 'kl', squaredTemperature: true },
  },
  'vpt-deep, features of the class token': {
    settings: { ...taught, method: 'vpt-deep', distill: 'features', featureTokens: 'class', featureLayers: [2] },
  },
  'vpt-shallow taught by linear, cosine': {
    settings: { ...taught, method: 'vpt-shallow', teacherMethod: 'linear', distill: 'cosine' },
  },
  'mosa taught by bitfit, mae': { settings: { ...taught, method: 'mosa', teacherMethod: 'bitfit', distill: 'mae' } },
  'repadapter, int8 forward': { settings: { ...taught, method: 'repadapter', frozen: 'int8-forward' } },
  'parallel, int8 both ways': { settings: { ...taught, method: 'parallel', frozen: 'int8' } },
  'full, dropped tokens': { settings: { method: 'full', dropTokens: 0.5, flip: true } },
  'Swin: mona taught by parallel-shared': {
    student: models.swinStudent,
    teacher: models.swinTeacher,
    settings: { ...taught, method: 'mona', teacherMethod: 'parallel-shared', dropPath: 0.2 },
  },
  'ViT res-tuning taught by Swin lora, published head': {
    teacher: models.swinTeacher,
    settings: { ...taught, method: 'res-tuning', teacherMethod: 'lora', head: 'published' },
  },
  'DINOv2 with registers: linear': { student: models.dinov2, settings: { method: 'linear' } },
  'DINOv2 with registers: parallel, drop path': {
    student: models.dinov2,
    settings: { method: 'parallel', dropPath: 0.1 },
  },
  'CLIP: ssf taught by a plain ViT': { student: models.clip, settings: { ...taught, method: 'ssf', distill: 'kl' } },
  'SigLIP 2: lora': { student: models.siglip, settings: { method: 'lora' } },
  'DINOv3: full, dropped tokens': { student: models.dinov3, settings: { method: 'full', dropTokens: 0.5 } },
  'DINOv3: vpt-shallow': { student: models.dinov3, settings: { method: 'vpt-shallow' } },
  'the mean over patches: sequential, int8 both ways': {
    student: models.averaged,
    settings: { method: 'sequential', frozen: 'int8' },
  },
  'DeiT, distilled: bitfit': { student: models.distilled, settings: { method: 'bitfit' } },
  'last two blocks of parallel taught by the last of lora, drop path': {
    settings: {
      ...taught,
      method: 'parallel',
      teacherMethod: 'lora',
      blocks: 'last:2',
      teacherBlocks: '2',
      dropPath: 0.1,
    },
  },
  'Swin: full in one block': { student: models.swinStudent, settings: { method: 'full', blocks: '3' } },
  'DINOv3, oblong images: sequential': { student: models.oblong, settings: { method: 'sequential' } },
};

/** What a program is, folded weights included; its files are called alike wherever they lie. */
function hashOf(compile: (sink: WeightSink) => Program): string {
  const hash = createHash('sha256');
  let end = 0;
  const program = compile({
    path: '/folded',
    append: (bytes) => {
      hash.update(bytes);
      end += bytes.length;
      return end - bytes.length;
    },
  });
  return hash.update(program.model).digest('hex');
}

function programsOf({ student = models.student, teacher = models.teacher, settings }: Case): Record<string, string> {
  const parsed = parseConfig({ data: 'none', student: 'student', ...settings });
  const plan = planOf(parsed);
  const specs = modelSpecs(plan.models, { student, teacher: plan.models.teacher && teacher }, CLASSES);
  const prefixes = prefixesOf(specs, plan);
  const hashes: Record<string, string> = {
    step: hashOf((sink) => stepOf(plan, specs, prefixes, MICRO_BATCH, sink).program),
    student: hashOf(
      (sink) => buildForward({ model: specs.student, batch: MICRO_BATCH, ...plan.compile, sink }).program,
    ),
  };
  for (const role of ['student', 'teacher'] as const) {
    const prefix = prefixes[role];
    if (prefix) hashes[`${role}'s prefix`] = hashOf((sink) => prefix.compile(sink));
  }
  return hashes;
}

const stored = fileURLToPath(new URL('./fixtures/emitted-programs.json', import.meta.url));

describe('the emitted programs are those stored', () => {
  const expected = JSON.parse(readFileSync(stored, 'utf8')) as Record<string, Record<string, string>>;
  if (process.env.IDAT_STORE_PROGRAMS) {
    const all = Object.entries(CASES).map(([name, one]) => [name, programsOf(one)]);
    writeFileSync(stored, `${JSON.stringify(Object.fromEntries(all), null, 2)}\n`);
  }
  it.each(Object.entries(CASES))('%s', (name, one) => {
    expect(programsOf(one)).toEqual(expected[name]);
  });
  it('none is stored that is not compiled', () => {
    expect(Object.keys(expected)).toEqual(Object.keys(CASES));
  });
});
