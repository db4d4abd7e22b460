/** Some blocks tuned alone: how they are chosen, what goes with them, what it saves, and runs that are taken up again. */
import { execFile } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tensorShapes } from '../src/backbones/architecture.js';
import type { SwinConfig } from '../src/backbones/backbone.js';
import { backboneFromFile } from '../src/backbones/node/checkpoint.js';
import { regionOf } from '../src/backbones/region.js';
import { openSafetensors } from '../src/files/node/safetensors-file.js';
import { cutFrozenPrefix } from '../src/graph/passes/frozen-prefix.js';
import { evaluateRun, fineTune, mergeRun, packRun, predict } from '../src/index.js';
import { METHODS, methodByName } from '../src/methods/index.js';
import { parameterTable } from '../src/paper/parameter-table.js';
import { type BlockChoice, blocksInWords, chosenBlocks, normalBlocks } from '../src/settings/blocks.js';
import { type FineTuneInput, parseConfig } from '../src/settings/config.js';
import { planOf } from '../src/settings/plan.js';
import { traceModel } from '../src/step/model.js';
import { buildPrefix } from '../src/step/prefix.js';
import { buildTrainStep } from '../src/step/train-step.js';
import { modelSpecs } from '../src/train/specs.js';
import { specOf } from './small-models.js';
import { SMALL_VARIANTS, SMALL_VIT } from './small-variants.js';
import { makeImageFolder, settings, temporaryFolder } from './train-support.js';

const SWIN: SwinConfig = {
  ...{ family: 'swin', imageSize: 16, patchSize: 4, channels: 3, embedWidth: 8, windowSize: 2 },
  ...{ depths: [2, 1], heads: [2, 4], mlpRatio: 2, qkvBias: true, layerNormEps: 1e-5 },
};

const root = temporaryFolder();
afterAll(() => rmSync(root, { recursive: true }));

describe('a choice of blocks', () => {
  it.each([
    ['all', 'all'],
    ['ALL ', 'all'],
    ['last:4', 'last:4'],
    ['First: 2', 'first:2'],
    ['8,1-2,3', '1-3,8'],
    ['5,5,5-6', '5-6'],
    ['12', '12'],
  ])('%j is written as %j', (text, normal) => {
    expect(normalBlocks('blocks', text)).toBe(normal);
  });

  it.each(['', 'last', 'last:0', 'last:-1', 'first:1.5', '0', '3-1', '1,', '1;2', '4-', '1-99999', 'middle:2'])(
    '%j is none, which is said in a sentence',
    (text) => {
      expect(() => normalBlocks('blocks', text)).toThrow(
        /^blocks: expected all, last:4, first:4 or a list such as 1,3,5-8 that counts from 1, got "/,
      );
    },
  );

  const of = (text: string, inherited = false): BlockChoice => ({
    field: inherited ? 'teacherBlocks' : 'blocks',
    text,
    inherited,
  });
  const model = { name: 'vit_small', depth: 12 };
  it('is of positions from 0, and undefined where it is all', () => {
    expect(chosenBlocks(of('last:2'), model)).toEqual([10, 11]);
    expect(chosenBlocks(of('first:2'), model)).toEqual([0, 1]);
    expect(chosenBlocks(of('1,3,5-6'), model)).toEqual([0, 2, 4, 5]);
    for (const text of ['all', 'last:12', 'first:12', '1-12']) expect(chosenBlocks(of(text), model)).toBe(undefined);
  });

  it('is refused where the model has no such blocks, by its name', () => {
    const refusal = (text: string, inherited = false) => {
      try {
        chosenBlocks(of(text, inherited), model);
      } catch (error) {
        return (error as Error).message;
      }
      return null;
    };
    expect(refusal('13')).toBe('blocks: there is no block 13: vit_small has 12 blocks, counted from 1, got 13');
    expect(refusal('11-14')).toContain('there is no block 13');
    expect(refusal('last:13')).toBe('blocks: vit_small has 12 blocks, expected last:12 at most, got last:13');
    expect(refusal('13', true)).toMatch(
      /^teacherBlocks: there is no block 13.*the student’s; choose the teacher’s own/,
    );
  });

  it('of the student goes for a shallower teacher, where it counts from an end', () => {
    expect(chosenBlocks(of('last:13', true), model)).toBe(undefined);
    expect(chosenBlocks(of('first:2', true), model)).toEqual([0, 1]);
  });

  it('is told in words', () => {
    expect(['last:1', 'last:4', '5-8', '1-3,5,8'].map(blocksInWords)).toEqual([
      ...['the last alone', 'the last 4', '5 to 8', '1 to 3, 5 and 8'],
    ]);
  });
});

describe('settings', () => {
  const base = { data: 'none', student: 'a' };
  const choices = (input: Partial<FineTuneInput>) => {
    const { student, teacher } = planOf(parseConfig({ ...base, ...input })).models;
    return [student.blocks.text, teacher?.blocks.text];
  };
  it('give the teacher the student’s blocks, its own, or all where its method has no use for them', () => {
    expect(choices({ blocks: '3,2' })).toEqual(['2-3', undefined]);
    expect(choices({ blocks: 'last:2', teacher: 'b' })).toEqual(['last:2', 'last:2']);
    expect(choices({ blocks: 'last:2', teacher: 'b', teacherBlocks: 'all' })).toEqual(['last:2', 'all']);
    expect(choices({ blocks: 'last:2', teacher: 'b', teacherMethod: 'linear' })).toEqual(['last:2', 'all']);
    expect(choices({})).toEqual(['all', undefined]);
  });
  it('refuse blocks of a method that works in none, and the teacher’s without one', () => {
    const refused = (input: Partial<FineTuneInput>) => () => parseConfig({ ...base, ...input });
    expect(refused({ method: 'linear', blocks: 'last:2' })).toThrow(/^blocks: linear trains nothing in blocks/);
    expect(refused({ teacher: 'b', teacherMethod: 'linear', teacherBlocks: '1' })).toThrow(/^teacherBlocks: linear/);
    expect(refused({ teacherBlocks: '1' })).toThrow(/^teacherBlocks: means something only where a teacher teaches/);
  });
});

describe('what goes with a block', () => {
  const owned = (config: Parameters<typeof regionOf>[0], chosen: number[]) => {
    const region = regionOf(config, chosen);
    return [...tensorShapes(config).keys()].filter((name) => region.has(name));
  };
  it('of a ViT: what stands before with the first, what stands behind with the last', () => {
    const three = { ...SMALL_VIT, depth: 3 };
    const outside = (chosen: number[]) => owned(three, chosen).filter((name) => !name.startsWith('blocks.'));
    const front = ['patch_embed.proj.weight', 'patch_embed.proj.bias', 'cls_token', 'pos_embed'];
    expect(outside([0])).toEqual(front);
    expect(outside([1])).toEqual([]);
    expect(outside([2])).toEqual(['norm.weight', 'norm.bias']);
    expect(outside([0, 2])).toEqual([...front, 'norm.weight', 'norm.bias']);
    expect(owned(three, [1]).every((name) => name.startsWith('blocks.1.'))).toBe(true);
    expect(owned(three, [1])).toHaveLength(12);
  });
  it('of attention pooling and norms before the blocks likewise', () => {
    expect(owned(SMALL_VARIANTS['SigLIP 2'], [1]).filter((name) => name.startsWith('attn_pool.'))).toHaveLength(13);
    expect(owned(SMALL_VARIANTS['SigLIP 2'], [0]).some((name) => name.startsWith('attn_pool.'))).toBe(false);
    expect(owned(SMALL_VARIANTS.CLIP, [0])).toContain('norm_pre.weight');
    expect(owned(SMALL_VARIANTS.DINOv3, [1])).toContain('fc_norm.weight');
  });
  it('of a Swin: a merging with the block before it; blocks are counted over the stages', () => {
    const config = SWIN;
    expect(owned(config, [1])).toContain('layers.0.downsample.reduction.weight');
    expect(owned(config, [2]).every((name) => /^(layers\.1\.blocks\.0|norm)\./.test(name))).toBe(true);
    expect(owned(config, [0])).toContain('patch_embed.norm.weight');
  });
});

describe.each(METHODS.filter(({ inBlocks }) => inBlocks !== false).map(({ name }) => name))(
  'the prefix of %s',
  (method) => {
    const deep = [
      { ...SMALL_VIT, depth: 4 },
      { ...SWIN, depths: [2, 2] },
    ];
    const known = deep.filter(({ family }) => methodByName(method).families.includes(family as 'vit' | 'swin'));
    it.each(known.flatMap((config) => [0, 0.4].map((dropPath) => [config.family, dropPath, config] as const)))(
      'of a %s at drop path %d reaches the first of its blocks',
      (_, dropPath, config) => {
        for (const first of [1, 2, 3]) {
          const model = specOf({ config, method, dropPath, blocks: [first] });
          const options = { role: '' as const, batch: 2, training: true, disable: [] };
          const { tapped, images } = traceModel(model, { ...options, taps: [{ block: first - 1, width: null }] });
          expect(cutFrozenPrefix(tapped, images, (i) => `prefix.${i}`)!.boundary).toEqual(tapped);
          // and what it works in is behind it
          const own = traceModel(model, { ...options, taps: [{ block: first, width: null }] });
          const cut = cutFrozenPrefix(own.tapped, own.images, (i) => `prefix.${i}`)!;
          expect(cut.boundary).not.toEqual(own.tapped);
        }
      },
    );
  },
);

describe('fewer blocks', () => {
  const config = { ...SMALL_VIT, imageSize: 16, width: 16, mlpWidth: 64, depth: 6 };
  const flops = (method: string, chosen: number[] | undefined) => {
    const student = specOf({ config, method, dropPath: 0, blocks: chosen });
    const prefix = buildPrefix(student);
    const step = buildTrainStep({
      ...{ student, teacher: null, distillation: null, microBatch: 4 },
      prefixes: { student: prefix, teacher: null },
    });
    return { step: step.program.flops, prefix: prefix ? prefix.compile().flops / prefix.batch : 0 };
  };
  const last = (count: number) => Array.from({ length: count }, (_, i) => 6 - count + i);

  it.each(['parallel', 'lora', 'full'])('cost less in each step of %s, and more once for each image', (method) => {
    const counts = [1, 2, 4, 6].map((count) => flops(method, count === 6 ? undefined : last(count)));
    for (let i = 1; i < counts.length; i++) {
      expect(counts[i]!.step).toBeGreaterThan(1.3 * counts[i - 1]!.step);
      expect(counts[i]!.prefix).toBeLessThan(counts[i - 1]!.prefix);
    }
    expect(counts[1]!.step).toBeLessThan(0.4 * counts[3]!.step); // 2 of 6
  });

  it('train less than those before them leave out: the first blocks cost as much as all', () => {
    // whatever stands behind a tuned block is passed backwards, tuned or not
    expect(flops('parallel', [0, 1]).step).toBeGreaterThan(0.95 * flops('parallel', undefined).step);
  });
});

describe('runs', () => {
  let data = '';
  const run = join(root, 'run');
  const config = (name: string, more: Partial<FineTuneInput> = {}) => ({
    ...settings(data, join(root, name)),
    ...{ epochs: 1, warmupEpochs: 0, blocks: 'last:2' },
    ...more,
  });
  beforeAll(async () => {
    data = await makeImageFolder(root);
    await fineTune(config('run', { method: 'lora', teacherMethod: 'full', teacherBlocks: '4' }));
  });
  const namesIn = async (path: string) => {
    const file = await openSafetensors(path);
    const names = [...file.file.tensors.keys()];
    await file.close();
    return names;
  };

  it('store and train those blocks alone, of student and teacher', async () => {
    const ofStudent = await namesIn(join(run, 'student.safetensors'));
    expect(new Set(ofStudent.map((name) => name.split('.').slice(0, 2).join('.')))).toEqual(
      new Set(['blocks.4', 'blocks.5', 'head.weight', 'head.bias']),
    );
    const ofTeacher = await namesIn(join(run, 'teacher.safetensors'));
    expect(ofTeacher.filter((name) => !/^(blocks\.3|head)\./.test(name))).toEqual([]);
    const stored = JSON.parse(readFileSync(join(run, 'config.json'), 'utf8')).settings;
    expect(stored).toMatchObject({ blocks: 'last:2', teacherBlocks: '4' });
  });

  it('are measured, packed and merged as they are', async () => {
    const image = join(data, 'red', '0.png');
    const before = await predict(run, [image]);
    expect((await evaluateRun(run)).total).toBeGreaterThan(0);
    await packRun(run, join(root, 'packed'));
    expect(await predict(join(root, 'packed'), [image])).toEqual(before);
    const merged = join(root, 'merged.safetensors');
    const { changed } = await mergeRun(run, merged);
    expect(changed).toBe(2 + 2); // two products and the head
    const { config: sizes } = await backboneFromFile(merged);
    expect(sizes).toMatchObject({ depth: 6 });
    expect(readFileSync(join(root, 'merged-card.md'), 'utf8')).toContain(
      '| blocks tuned | the last 2; all others stay as they were |',
    );
  });

  it('with blocks that the student lacks end before they begin', async () => {
    await expect(fineTune(config('none', { blocks: '7' }))).rejects.toThrow(
      'blocks: there is no block 7: vit_micro_patch4_32.cifar10 has 6 blocks, counted from 1, got 7',
    );
  });

  it('with a teacher of fewer blocks have as many of those as there are', () => {
    const { models } = planOf(parseConfig(config('any', { blocks: 'last:2' })));
    const shallow = specOf({ config: { ...SMALL_VIT, depth: 1 }, method: 'full', dropPath: 0 }).backbone;
    const deep = specOf({ config: { ...SMALL_VIT, depth: 3 }, method: 'full', dropPath: 0 }).backbone;
    const specs = modelSpecs(models, { student: deep, teacher: shallow }, 3);
    expect([specs.student.blocks, specs.teacher?.blocks]).toEqual([[1, 2], undefined]);
  });
});

describe('counted', () => {
  it('idat params counts what is trained in those blocks', () => {
    const counted = (blocks?: string) =>
      Object.fromEntries(parameterTable(undefined, undefined, blocks).rows.map(({ row, trained }) => [row, trained]));
    const [all, three] = [counted(), counted('last:3')];
    expect(three['Par. adapter*']).toBe(all['Par. adapter*']! / 4);
    expect(three.LoRA).toBe(all.LoRA! / 4);
    expect(three.Linear).toBe(0);
    expect(three.FPT).toBe(3 * 7_087_872 + 2 * 768);
    expect(parameterTable(undefined, undefined, 'last:3').rows.every(({ verdict }) => verdict === null)).toBe(true);
    expect(() => parameterTable(undefined, undefined, '13')).toThrow('there is no block 13');
  });

  it('and says so on the command line, in one sentence where there are none', async () => {
    const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
    const said = (...args: string[]) =>
      new Promise<string>((resolve) =>
        execFile(process.execPath, [MAIN, ...args], (_, stdout, stderr) => resolve(stdout + stderr)),
      );
    expect((await said('params', '--blocks', 'last:3')).replace(/\s+/g, ' ')).toContain('Of their blocks, the last 3.');
    expect(await said('params', '--blocks', 'lst:3')).toMatch(/blocks: expected all, last:4, first:4 or a list/);
  });
});
