/**
 * Visual prompt tuning, Mona, MoSA and Res-Tuning: against PyTorch, against their own literal form, and the rules of
 * training that only they need.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { traceBackbone } from '../src/backbones/architecture.js';
import type { Backbone, ViTConfig } from '../src/backbones/backbone.js';
import { knownBackbone } from '../src/backbones/known-backbones.js';
import { regionOf } from '../src/backbones/region.js';
import { openSafetensors } from '../src/files/node/safetensors-file.js';
import type { Program } from '../src/graph/emit.js';
import { interpret } from '../src/graph/interpret.js';
import { broadcastTo, concat, constant, input, parameter, slice, zeros } from '../src/graph/ops/index.js';
import { type Shape, size, type Tensor } from '../src/graph/tensor.js';
import { methodByName } from '../src/methods/index.js';
import { randomStream } from '../src/random.js';
import { startRuntime } from '../src/runtime/node/start.js';
import type { Feed, Runtime } from '../src/runtime/runtime.js';
import { buildForward } from '../src/step/forward.js';
import type { ModelSpec } from '../src/step/model.js';
import { buildPrefix } from '../src/step/prefix.js';
import type { TrainableLayout } from '../src/step/scope.js';
import { buildTrainStep } from '../src/step/train-step.js';
import { AdamW } from '../src/train/adamw.js';
import { streamOf } from '../src/train/evaluate.js';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await startRuntime({ device: 'cpu', threads: 1 });
});
afterAll(() => runtime.close());

/** As tools/make-reference/methods.py makes them. */
function numbers(name: string, shape: Shape, factor = 0.3, centre = 0): Float32Array {
  const phase = 0.31 * [...name].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) + 0.5;
  return Float32Array.from({ length: size(shape) }, (_, i) => centre + factor * Math.sin(1.7 * i + phase));
}

function vit(width = 8, more: Partial<ViTConfig> = {}): Backbone {
  const sizes = { imageSize: 12, patchSize: 4, channels: 3, depth: 2, heads: 2, qkvBias: true, layerNormEps: 1e-6 };
  const config: ViTConfig = { family: 'vit', ...sizes, width, mlpWidth: 2 * width, ...more };
  const values = (name: string, shape: Shape) => numbers(name, shape, 0.3, /norm\d?\.weight$/.test(name) ? 1 : 0);
  const weights = {
    has: () => true,
    values,
    constant: (name: string, shape: Shape) => constant(shape, values(name, shape)),
  };
  return { name: 'tiny', config, weights, mean: [0], std: [1], path: '', sha256: '' };
}

const spec = (method: string, methodOptions = {}, backbone = vit(), more: Partial<ModelSpec> = {}): ModelSpec => ({
  backbone,
  method,
  methodOptions,
  classes: 3,
  dropPath: 0,
  ...more,
});

const IMAGES = numbers('images', [2, 3, 12, 12], 1);
const BATCH = { labels: BigInt64Array.of(0n, 2n), weights: Float32Array.of(0.5, 0.5) };

function tuned({ slots, size: total }: TrainableLayout): Float32Array {
  const vector = new Float32Array(total);
  for (const { name, shape, offset } of slots) vector.set(numbers(name, shape, 0.2), offset);
  return vector;
}

async function run(program: Program, feeds: Record<string, Feed>) {
  const session = await runtime.load(() => program);
  try {
    return await session.run(feeds);
  } finally {
    await session.close();
  }
}

const logitsOf = async (model: ModelSpec) => {
  const { program, layout } = buildForward({ model, batch: 2 });
  return (await run(program, { images: IMAGES, parameters: tuned(layout) })).logits!;
};

/** The experts that the reference draws for each block. */
const EXPERTS: Record<string, number> = {
  'blocks.0.adapter.expert': 2,
  'blocks.1.adapter.expert': 0,
  'second.blocks.0.adapter.expert': 1,
  'second.blocks.1.adapter.expert': 3,
};
const experts = (role: string, names: readonly { readonly name: string }[]) =>
  Object.fromEntries(
    names.map(({ name }) => [`${role}.${name}`, Uint8Array.from({ length: 4 }, (_, e) => Number(e === EXPERTS[name]))]),
  );

describe('against PyTorch', () => {
  const undropped = { dropout: 0 };
  const mosa = { hidden: 4, ...undropped };
  const prompts = { prompts: 3, ...undropped };
  const tuners = { hidden: 3, tokens: 2 };
  const cases: [string, string, object][] = [
    ['vpt-shallow', 'vpt-shallow', prompts],
    ['vpt-deep', 'vpt-deep', prompts],
    ['mona', 'mona', { hidden: 4, ...undropped }],
    ['mosa', 'mosa', mosa],
    ['res-tuning', 'res-tuning', tuners],
    ['res-tuning-in', 'res-tuning', { ...tuners, input: 'in' }],
    ['bypass', 'res-tuning', { ...tuners, variant: 'bypass' }],
  ];
  const reference = () => openSafetensors(new URL('fixtures/methods-pytorch.safetensors', import.meta.url).pathname);

  function expectClose(found: ArrayLike<number>, expected: Float32Array, what: string) {
    const top = Math.max(1e-4, ...expected.map(Math.abs));
    expect(found.length, what).toBe(expected.length);
    expected.forEach((value, i) => {
      expect(Math.abs(found[i]! - value) / top, `${what} [${i}]`).toBeLessThan(2e-5);
    });
  }

  it.each(cases)('%s: loss, logits, every gradient, and logits in evaluation', async (name, method, options) => {
    const file = await reference();
    const model = spec(method, options);
    const { program, student, draws } = buildTrainStep({
      student: model,
      teacher: null,
      distillation: null,
      microBatch: 2,
    });
    const feeds = { 'student.images': IMAGES, 'student.parameters': tuned(student), ...BATCH };
    const out = await run(program, { ...feeds, ...experts('student', draws.student) });
    expectClose(out['loss.student']!, await file.readFloat32(`${name}/loss`), 'loss');
    expectClose(out['student.logits']!, await file.readFloat32(`${name}/logits`), 'logits');
    for (const { name: tensor, offset, size: length } of student.slots) {
      const gradient = out['student.gradient']!.subarray(offset, offset + length);
      expectClose(gradient, await file.readFloat32(`${name}/gradient/${tensor}`), tensor);
    }
    expectClose(await logitsOf(model), await file.readFloat32(`${name}/evaluated`), 'evaluated');
    await file.close();
  });

  it('a MoSA student and a teacher with prompts: distillation reads the first pass', async () => {
    const file = await reference();
    const distillation = { loss: 'mse', temperature: 5, alpha: 1, beta: 1, gradient: 'both' as const };
    const models = { student: spec('mosa', mosa), teacher: spec('vpt-deep', prompts, vit(4)) };
    const step = buildTrainStep({ ...models, distillation, microBatch: 2 });
    const out = await run(step.program, {
      'student.images': IMAGES,
      'teacher.images': IMAGES,
      'student.parameters': tuned(step.student),
      'teacher.parameters': tuned(step.teacher!),
      ...BATCH,
      ...experts('student', step.draws.student),
    });
    expectClose(out['loss.total']!, await file.readFloat32('pair/loss'), 'loss');
    for (const role of ['student', 'teacher'] as const) {
      for (const { name, offset, size: length } of step[role]!.slots) {
        const gradient = out[`${role}.gradient`]!.subarray(offset, offset + length);
        expectClose(gradient, await file.readFloat32(`pair/${role}/gradient/${name}`), `${role} ${name}`);
      }
    }
    await file.close();
  });
});

describe('what the methods train', () => {
  const config = (name: string) => knownBackbone(name)!.config;
  const count = (method: string, options = {}, backbone = 'vit_base_patch16_224') => {
    const { count, options: schema } = methodByName(method);
    return count(config(backbone), schema.parse(options), regionOf(config(backbone)));
  };
  it.each([
    ['vpt-shallow', { prompts: 7 }, 768 * 7],
    ['vpt-deep', { prompts: 7 }, 9_216 * 7],
    ['mona', {}, 2_684_928],
    ['mosa', {}, 792_768],
    ['res-tuning', {}, 507_000],
    ['res-tuning', { scales: false }, 193_656 + 184_320 + 92_160],
    ['res-tuning', { scales: false, prefix: false, prompt: false }, 193_656],
    ['res-tuning', { scales: false, adapter: false, prompt: false }, 184_320],
    ['res-tuning', { scales: false, adapter: false, prefix: false }, 92_160],
    ['res-tuning', { variant: 'bypass' }, 2 * 193_656],
  ])('%s %o is counted as specified, and traced as counted', (method, options, expected) => {
    expect(count(method as string, options as object)).toBe(expected);
    const backbone: Backbone = {
      ...vit(),
      config: config('vit_base_patch16_224'),
      weights: {
        has: () => true,
        values: (_, shape) => new Float32Array(size(shape)),
        constant: (_, shape) => zeros(shape),
      },
    };
    const { layout } = buildForward({ model: spec(method as string, options as object, backbone), batch: 1 });
    expect(layout.size - 3 * 769).toBe(expected);
  });
});

describe('prompts', () => {
  const options = { prompts: 2, dropout: 0 };

  it('of one block are, to all other tokens, keys and values: the same as tokens that are replaced', async () => {
    const { config } = vit();
    const backbone = vit();
    const prompt = (block: number) => parameter(`blocks.${block}.prompts`, [1, 2, 8]);
    const images = input('images', [2, 3, 12, 12]);
    const literal = traceBackbone(
      config,
      backbone.weights.constant,
      {
        tokens(block, x) {
          const own = broadcastTo(prompt(block), [2, 2, 8]);
          return concat([slice(x, 1, 0, 1), own, slice(x, 1, block === 0 ? 1 : 3, x.shape[1]!)], 1);
        },
      },
      { images, dropPath: null },
    );
    const known = new Map<string, Tensor>();
    const tensor = (name: string, shape: Shape) => {
      known.set(name, known.get(name) ?? parameter(name, shape));
      return known.get(name)!;
    };
    const scope = { training: false, tensor, draw: () => zeros([1]), dropout: (_: string, x: Tensor) => x };
    const deep = traceBackbone(
      config,
      backbone.weights.constant,
      methodByName('vpt-deep').hooks(scope, config, options, regionOf(config)),
      { images, dropPath: null },
    );
    const values: Record<string, ArrayLike<number>> = { images: IMAGES };
    for (const name of known.keys()) values[name] = numbers(name, [1, 2, 8], 0.5);
    const [a, b] = interpret([literal, deep], values);
    a!.data.forEach((value, i) => {
      expect(b!.data[i]).toBeCloseTo(value, 12);
    });
  });

  it('that pass through all blocks make calls of fewer images, and calls agree', async () => {
    const none = streamOf(spec('linear'));
    expect(streamOf(spec('vpt-shallow', options))).toBe(none + 2 * 8);
    const model = spec('vpt-shallow', options);
    const whole = await logitsOf(model);
    const { program, layout } = buildForward({ model, batch: 1 });
    const alone = await run(program, { images: IMAGES.subarray(0, IMAGES.length / 2), parameters: tuned(layout) });
    alone.logits!.forEach((value, i) => {
      expect(value).toBeCloseTo(whole[i]!, 5);
    });
  });

  it('start within the bound of the patch embedding', () => {
    const { layout } = buildForward({ model: spec('vpt-deep', { prompts: 200 }), batch: 1 });
    const start = layout.initial(1, 'student').subarray(0, 200 * 8);
    const bound = Math.sqrt(6 / (3 * 16 + 8));
    const largest = Math.max(...start.map(Math.abs));
    expect(largest).toBeLessThanOrEqual(Math.fround(bound));
    expect(largest).toBeGreaterThan(0.98 * bound);
  });
});

describe('the frozen prefix', () => {
  it.each([
    ['vpt-shallow', { prompts: 2 }],
    ['vpt-deep', { prompts: 2, dropout: 0 }],
    ['mona', { hidden: 4, dropout: 0 }],
    ['mosa', { hidden: 4, dropout: 0 }],
    ['res-tuning', { hidden: 3 }],
    ['res-tuning', { hidden: 3, variant: 'bypass' }],
  ])('of %s %o leaves losses and gradients alone', async (method, options) => {
    const student = spec(method, options);
    const prefix = buildPrefix(student)!;
    const build = (own: typeof prefix | null) =>
      buildTrainStep({
        student,
        teacher: null,
        distillation: null,
        microBatch: 2,
        prefixes: { student: own, teacher: null },
      });
    const [whole, rest] = [build(null), build(prefix)];
    const feeds = { 'student.parameters': tuned(whole.student), ...BATCH, ...experts('student', whole.draws.student) };
    const expected = await run(whole.program, { ...feeds, 'student.images': IMAGES });
    const repeated = Math.ceil(prefix.batch / 2);
    const many = new Float32Array(repeated * IMAGES.length);
    for (let i = 0; i < repeated; i++) many.set(IMAGES, i * IMAGES.length);
    const crossing = await run(prefix.compile(), { images: many.subarray(0, (prefix.batch * IMAGES.length) / 2) });
    const cut = Object.fromEntries(
      prefix.tensors.map(({ name, shape }) => [`student.${name}`, crossing[name]!.subarray(0, 2 * size(shape))]),
    );
    const found = await run(rest.program, { ...feeds, ...cut });
    for (const name of ['loss.student', 'student.logits', 'student.gradient'])
      found[name]!.forEach((value, i) => {
        expect(value, `${name} [${i}]`).toBeCloseTo(expected[name]![i]!, 5);
      });
  });

  it('of a bypass is all of the backbone, of which class tokens alone cross', () => {
    const { tensors } = buildPrefix(spec('res-tuning', { variant: 'bypass' }))!;
    expect(new Set(tensors.map(({ shape }) => size(shape)))).toEqual(new Set([8]));
  });
});

describe('MoSA', () => {
  const student = spec('mosa', { hidden: 4, dropout: 0 }, vit(), { dropPath: 0.5 });
  const {
    program,
    student: layout,
    draws,
  } = buildTrainStep({
    student,
    teacher: null,
    distillation: null,
    microBatch: 2,
  });
  const slot = layout.slots.find(({ name }) => name === 'blocks.0.adapter.experts.weight')!;

  it('divides each second matrix among its experts, the same way for the same seed', () => {
    const mask = layout.mask(3, 'student')!;
    expect(layout.mask(3, 'student')).toEqual(mask);
    expect(layout.mask(4, 'student')).not.toEqual(mask);
    expect(layout.mask(3, 'teacher')).not.toEqual(mask);
    const own = mask.subarray(slot.offset, slot.offset + slot.size);
    const each = own.length / 4;
    for (let entry = 0; entry < each; entry++)
      expect([0, 1, 2, 3].reduce((sum, e) => sum + own[e * each + entry]!, 0)).toBe(1);
    for (let e = 0; e < 4; e++) {
      expect(own.subarray(e * each, (e + 1) * each).reduce((a, b) => a + b)).toBe(each / 4);
    }
    const others =
      mask.reduce((sum, v) => sum + v, 0) -
      layout.slots.filter(({ name }) => name.endsWith('experts.weight')).length * each;
    expect(others).toBe(layout.size - 2 * slot.size); // nothing else is kept from training
  });

  it('updates of each expert its own entries alone, decay or not', () => {
    const mask = layout.mask(3, 'student')!;
    const parameters = tuned(layout);
    const before = parameters.slice();
    const options = { mask, weightDecay: 0.1, decayRanges: [[0, layout.size]] as const };
    new AdamW(layout.size, options).step(parameters, new Float32Array(layout.size).fill(1), 0.01);
    expect(parameters.every((value, i) => (value === before[i]) === (mask[i] === 0))).toBe(true);
  });

  it('passes over the images twice, with experts and dropped paths of its own each time', async () => {
    expect(draws.student.map(({ name }) => name)).toEqual(Object.keys(EXPERTS));
    const feeds = { 'student.images': IMAGES, 'student.parameters': tuned(layout), ...BATCH };
    const paths = (second: number) => ({
      'student.dropPath': new Float32Array(8).fill(1),
      'student.second.dropPath': new Float32Array(8).fill(second),
    });
    const same = Object.fromEntries(draws.student.map(({ name }) => [`student.${name}`, Uint8Array.of(1, 0, 0, 0)]));
    const crossEntropy = await run(program, { ...feeds, ...same, ...paths(1) });
    const otherExperts = await run(program, { ...feeds, ...experts('student', draws.student), ...paths(1) });
    const otherPaths = await run(program, { ...feeds, ...same, ...paths(2) });
    const ln = (row: Float32Array, label: number) =>
      Math.log(row.reduce((sum, z) => sum + Math.exp(z), 0)) - row[label]!;
    const own = crossEntropy['student.logits']!;
    const expected = (ln(own.subarray(0, 3), 0) + ln(own.subarray(3, 6), 2)) / 2;
    expect(crossEntropy['loss.student']![0]).toBeCloseTo(expected, 5); // equal passes: the consistency is 0
    expect(otherPaths['student.logits']).toEqual(own);
    expect(otherPaths['loss.student']![0]).toBeGreaterThan(expected + 1e-6);
    expect(otherExperts['loss.student']![0]).not.toBeCloseTo(expected, 5);
  });

  it('draws one expert a block, all of them in time', () => {
    const drawn = new Set<number>();
    for (let step = 0; step < 40; step++) {
      const values = new Uint8Array(4);
      draws.student[0]!.fill(values, randomStream(1, 'draw', step));
      expect(values.reduce((a, b) => a + b)).toBe(1);
      drawn.add(values.indexOf(1));
    }
    expect([...drawn].sort()).toEqual([0, 1, 2, 3]);
    expect(draws.student[0]!.each).toBe('batch');
  });
});

it('Mona refuses tokens that are no grid, as dropped ones leave them', () => {
  const student = spec('mona', {}, vit(), { dropTokens: 0.5 });
  const build = () => buildTrainStep({ student, teacher: null, distillation: null, microBatch: 2 });
  expect(build).toThrow(/mona: needs all patches of the grid, got \d+ tokens; leave none of them out/);
});
