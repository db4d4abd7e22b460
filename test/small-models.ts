/** Random small vision transformers, ViTs and Swins, with numbers for everything they read. */
import fc from 'fast-check';
import { blocks, featureWidth, imagesShape, traceBackbone } from '../src/backbones/architecture.js';
import type { Backbone, BackboneConfig, ViTVariations } from '../src/backbones/backbone.js';
import { hooksWithin, regionOf } from '../src/backbones/region.js';
import { constant, input, linear, parameter } from '../src/graph/ops/index.js';
import { type Shape, size, type Tensor } from '../src/graph/tensor.js';
import { imageSizeOf } from '../src/image-size.js';
import { METHODS, methodByName } from '../src/methods/index.js';
import type { Scope } from '../src/methods/method.js';
import { randomStream } from '../src/random.js';
import type { ModelSpec } from '../src/step/model.js';
import { drawn } from '../src/step/scope.js';
import type { TrainStep } from '../src/step/train-step.js';
import { dropPathMultipliers } from '../src/train/drop-path.js';

export const values = (shape: Shape, salt: number, factor = 1): Float32Array =>
  Float32Array.from({ length: size(shape) }, (_, i) => factor * Math.sin(i * 1.7 + salt * 3.1 + 0.5));
export const weightValues = (name: string, shape: Shape): Float32Array => values(shape, name.length, 0.3);
export const frozen = (name: string, shape: Shape): Tensor => constant(shape, weightValues(name, shape));

export interface Model {
  config: BackboneConfig;
  method: string;
  dropPath: number;
  /** Positions of those tuned; default: all. */
  blocks?: readonly number[] | undefined;
}

/** Of a ViT's variations any that go together: what is pooled must be there. */
const variations: fc.Arbitrary<ViTVariations> = fc
  .record(
    {
      classToken: fc.boolean(),
      distillationToken: fc.boolean(),
      registers: fc.integer({ min: 1, max: 2 }),
      positions: fc.constantFrom('all', 'patches', 'none'),
      rotary: fc.constant(100),
      patchBias: fc.boolean(),
      preNorm: fc.boolean(),
      layerScale: fc.boolean(),
      qkNorm: fc.boolean(),
      activation: fc.constantFrom('gelu', 'gelu_tanh', 'quick_gelu', 'silu'),
      gatedMlp: fc.boolean(),
      pool: fc.constantFrom('token', 'distilled', 'avg', 'map'),
      normAfterPool: fc.boolean(),
    },
    { requiredKeys: [] },
  )
  .filter(
    ({ classToken = true, distillationToken = false, pool = 'token' }) =>
      (pool !== 'token' || classToken) && (pool !== 'distilled' || (classToken && distillationToken)),
  ) as fc.Arbitrary<ViTVariations>;

const vits: fc.Arbitrary<BackboneConfig> = fc
  .record({
    heads: fc.integer({ min: 1, max: 2 }),
    perHead: fc.constantFrom(2, 4),
    patchSize: fc.constantFrom(2, 4),
    rows: fc.integer({ min: 1, max: 2 }),
    columns: fc.integer({ min: 1, max: 3 }),
    depth: fc.integer({ min: 1, max: 3 }),
    mlpWidth: fc.integer({ min: 3, max: 9 }),
    qkvBias: fc.boolean(),
    variations: fc.oneof(fc.constant<ViTVariations>({}), variations),
  })
  .map(({ heads, perHead, patchSize, rows, columns, depth, mlpWidth, qkvBias, variations }) => ({
    family: 'vit',
    imageSize: imageSizeOf(patchSize * rows, patchSize * columns),
    patchSize,
    channels: 3,
    // turning takes four numbers a head
    width: heads * (variations.rotary === undefined ? perHead : 4),
    depth,
    heads,
    mlpWidth: variations.gatedMlp ? 2 * mlpWidth : mlpWidth,
    qkvBias,
    layerNormEps: 1e-6,
    ...variations,
  }));

/** One or two stages of one or two blocks, whose windows tile the grid, are shifted or not, or are the whole grid. */
const swins: fc.Arbitrary<BackboneConfig> = fc
  .record({
    heads: fc.integer({ min: 1, max: 2 }),
    windowSize: fc.integer({ min: 1, max: 2 }),
    windows: fc.integer({ min: 1, max: 2 }),
    depths: fc.array(fc.integer({ min: 1, max: 2 }), { minLength: 1, maxLength: 2 }),
    mlpRatio: fc.constantFrom(1, 1.5),
    qkvBias: fc.boolean(),
  })
  .map(({ heads, windowSize, windows, depths, mlpRatio, qkvBias }) => ({
    family: 'swin',
    imageSize: 2 * windowSize * windows * 2 ** (depths.length - 1),
    patchSize: 2,
    channels: 3,
    embedWidth: heads * 2,
    depths,
    heads: depths.map((_, stage) => heads * 2 ** stage),
    windowSize,
    mlpRatio,
    qkvBias,
    layerNormEps: 1e-5,
  }));

export const models: fc.Arbitrary<Model> = fc
  .record({
    config: fc.oneof(vits, swins),
    method: fc.constantFrom(...METHODS.map(({ name }) => name)),
    dropPath: fc.constantFrom(0, 0.4),
    somewhere: fc.option(fc.array(fc.nat(3), { minLength: 1, maxLength: 2 }), { nil: undefined }),
  })
  .map(({ somewhere, ...model }) => {
    const depth = blocks(model.config).length;
    return { ...model, blocks: somewhere && [...new Set(somewhere.map((block) => block % depth))].sort() };
  })
  .filter(({ config, method }) => methodByName(method).families.includes(config.family));

/** A model as a graph of ours, with every leaf's numbers; its leaves' names start with `role`. */
export function trace(
  { config, method: name, dropPath: rate, blocks: chosen }: Model,
  B: number,
  { role = '', classes = 3, weight: given = frozen } = {},
) {
  const parameters = new Map<string, Tensor>();
  const tensor = (own: string, shape: Shape) => {
    if (!parameters.has(own)) parameters.set(own, parameter(`${role}${own}`, shape));
    return parameters.get(own)!;
  };
  const scope: Scope = {
    training: false,
    tensor,
    draw: (name) => {
      throw new Error(`${name} is drawn, but nothing trains`);
    },
    dropout: (_, x) => x,
  };
  const method = methodByName(name);
  const region = regionOf(config, chosen);
  const own = method.hooks(scope, config, method.options.parse({ hidden: 2 }), region);
  const hooks = hooksWithin(config, region, own);
  const images = input(`${role}images`, imagesShape(config, B));
  const depth = blocks(config).length;
  const dropPath = rate > 0 ? input(`${role}dropPath`, [depth, 2, B]) : null;
  const weight = (own: string, shape: Shape) =>
    method.trains(own) && region.has(own) ? tensor(own, shape) : given(own, shape);
  const dropPathFrom = region.blocks[0]!.index;
  const features = traceBackbone(config, weight, hooks, { images, dropPath, dropPathFrom });
  const logits = linear(
    features,
    tensor('head.weight', [classes, featureWidth(config)]),
    tensor('head.bias', [classes]),
  );
  const salt = role === 'teacher.' ? 1 : 0; // equal models that are traced for two roles differ in their numbers
  const numbers: Record<string, ArrayLike<number>> = {
    [`${role}images`]: values(images.shape, 1 + salt),
    [`${role}dropPath`]: dropPathMultipliers(depth, rate, B, alternating()),
    labels: Array.from({ length: B }, (_, b) => b % classes),
  };
  for (const [own, { shape }] of parameters) numbers[`${role}${own}`] = values(shape, own.length + salt, 0.2);
  return { logits, images, parameters: [...parameters.values()], numbers };
}

/** Drops about every other branch where anything is dropped at all. */
export function alternating() {
  let draws = 0;
  return { uniform: () => (draws++ % 2 === 0 ? 0 : 0.999) } as never;
}

/** A model as the step is given it. */
export function specOf({ config, method, dropPath, blocks }: Model, classes = 3, weight = frozen): ModelSpec {
  const weights = { has: () => true, values: weightValues, constant: weight };
  const backbone: Backbone = { name: '', config, weights, mean: [0], std: [1], path: '', sha256: '' };
  return { backbone, method, methodOptions: { dropout: 0 }, blocks, classes, dropPath };
}

/** The same tensor whenever a weight of that name and shape is asked for, as a student that teaches itself has it. */
export function sharedWeights(): typeof frozen {
  const known = new Map<string, Tensor>();
  return (name, shape) => {
    const key = `${name} ${shape}`;
    if (!known.has(key)) known.set(key, frozen(name, shape));
    return known.get(key)!;
  };
}

/** Numbers for all that a step draws at random. */
export function drawFeeds({ draws }: TrainStep, images: number): Record<string, Uint8Array> {
  const positions = Array.from({ length: images }, (_, i) => i);
  const feeds = (['student', 'teacher'] as const).flatMap((role) =>
    draws[role].map((draw): [string, Uint8Array] => [
      `${role}.${draw.name}`,
      drawn(draw, positions, (...purpose) => randomStream(1, role, ...purpose)),
    ]),
  );
  return Object.fromEntries(feeds);
}
