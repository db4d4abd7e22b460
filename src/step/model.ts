/**
 * One model of a step, traced: a frozen backbone, its tuning method's tensors, a new head.
 */
import { blocks, droppablePatches, featureWidth, imagesShape, traceBackbone } from '../backbones/architecture.js';
import type { Backbone, BackboneInputs } from '../backbones/backbone.js';
import { type Hooks, labelHooks } from '../backbones/hooks.js';
import { hooksWithin, type Region, regionOf } from '../backbones/region.js';
import { IdatError } from '../errors.js';
import type { Program, WeightSink } from '../graph/emit.js';
import { input, linear } from '../graph/ops/index.js';
import { commonSubexpressions } from '../graph/passes/common-subexpressions.js';
import { cutFrozenPrefix } from '../graph/passes/frozen-prefix.js';
import { applyPasses, FORWARD_PASSES, TRACE_PASSES, TRAINING_PASSES } from '../graph/passes/index.js';
import { formatShape, type Shape, sameShape, type Tensor, within } from '../graph/tensor.js';
import { methodByName } from '../methods/index.js';
import type { Method } from '../methods/method.js';
import { type HeadInitialisers, truncatedNormal, zeroInit } from '../methods/parts/initialisers.js';
import type { Role } from './roles.js';
import { type Draw, ModelScope, type TrainableLayout } from './scope.js';
import { keptPatchCount } from './token-dropping.js';

export type { TrainableLayout };

/** One model to be tuned: a frozen backbone, a tuning method and a new head. */
export interface ModelSpec {
  readonly backbone: Backbone;
  /** Name of a tuning method of src/methods: sequential, parallel, parallel-shared, linear, full. */
  readonly method: string;
  /** Options of the method, such as `{ hidden: 4, scale: 0.1 }`; missing ones take the method's defaults. */
  readonly methodOptions: Readonly<Record<string, unknown>>;
  /** Positions of the blocks that the method works in, counted from 0; default: all. */
  readonly blocks?: readonly number[] | undefined;
  readonly classes: number;
  /**
   * Drop-path rate of the last block; earlier blocks rise to it linearly from 0. Blocks in front of all that the method
   * works in drop nothing: nothing in front of them trains.
   */
  readonly dropPath: number;
  /** Starting values of the head: those of the paper (the default), or of the paper the method is from. */
  readonly head?: HeadStart | undefined;
  /** Share of its patches that each image goes without in training; default 0. */
  readonly dropTokens?: number;
}

/**
 * Where a head's starting values come from: iDAT, the method's own paper where that differs, or a fit to the training
 * images' features (train/head-start.ts), in whose place the layout's starting values are iDAT's.
 */
export const HEAD_STARTS = ['default', 'published', 'class-means', 'ridge'] as const;
export type HeadStart = (typeof HEAD_STARTS)[number];

/**
 * What of a model depends on the image and on frozen weights alone: a program of its own, run once for each image.
 *
 * Its program has input `images` [batch, 3, S, S]; outputs `prefix.0`, `prefix.1`, … [batch, …], which step and forward pass of the same
 * model take in place of the images when they are built with it.
 */
export interface Prefix {
  /** @param sink takes weights that compiling computes; without it they become part of the program */
  compile(sink?: WeightSink): Program;
  /** Images in one call. */
  readonly batch: number;
  /** What one image leaves: names, and shapes for one image. */
  readonly tensors: readonly { readonly name: string; readonly shape: Shape }[];
}

const inputName = (role: string, name: string): string => (role ? `${role}.${name}` : name);

/** The input that stands in for the images where a frozen prefix is left out. */
export const prefixInput = (index: number): string => `prefix.${index}`;

/** The shape of what belongs to one image: images lie one after the other in whatever a backbone computes. */
export const imageShape = ({ shape: [first, ...rest] }: Tensor, batch: number): Shape => [first! / batch, ...rest];

/** A block whose output is wanted beside the logits. */
export interface Tap {
  /** Counted from 0; null: what the head reads, [B, D]. */
  readonly block: number | null;
  /** Mapped to so many numbers a token by a matrix that is trained with the model; null: as it is. */
  readonly width: number | null;
  /** In place of its output, how its queries share their attention: [B, H, T, K] (backbones/hooks.ts). */
  readonly attention?: true;
}

/** What the names of tensors that only training needs start with; in a model's vector they come last. */
export const TRAINING_ONLY = 'distill.';

export interface TracedModel {
  readonly images: Tensor;
  readonly logits: Tensor;
  /** Of a second pass over the same images, in training by a method that needs one (`consistency`); otherwise null. */
  readonly secondLogits: Tensor | null;
  /** What was tapped, [B, T, width] each. */
  readonly tapped: readonly Tensor[];
  readonly parametersInput: string;
  readonly parameters: readonly Tensor[];
  readonly layout: TrainableLayout;
  /** Inputs drawn anew at every step, drop path's apart. */
  readonly draws: readonly Draw[];
}

/** A model that is tuned, and where each of its trained tensors lies. */
export interface TunedModel {
  readonly spec: ModelSpec;
  readonly layout: TrainableLayout;
}

/** Where a model is tuned. */
export const regionOfModel = ({ backbone, blocks }: ModelSpec): Region => regionOf(backbone.config, blocks);

export interface TraceOptions {
  /** What names of inputs start with. */
  readonly role: Role | '';
  /** Images in one call. */
  readonly batch: number;
  /** Whether paths and numbers are dropped at random. */
  readonly training: boolean;
  /** Names of passes to leave out. */
  readonly disable: readonly string[];
  readonly taps?: readonly Tap[];
}

/** A model ready to be differentiated: less the prefix if there is one, and rewritten. */
export function prepareModel(model: ModelSpec, prefix: Prefix | null | undefined, options: TraceOptions): TracedModel {
  const traced = traceModel(model, options);
  const rest = prefix ? cutOff(prefix, traced, options.role) : outputsOf(traced);
  const rewriting = options.training ? [...FORWARD_PASSES, ...TRAINING_PASSES] : FORWARD_PASSES;
  const [logits, ...others] = applyPasses(rewriting, rest, options.disable) as [Tensor, ...Tensor[]];
  const secondLogits = traced.secondLogits && others.shift()!;
  return { ...traced, logits, secondLogits, tapped: others };
}

/** The logits of each pass over the images, and what was tapped. */
export const outputsOf = ({ logits, secondLogits, tapped }: TracedModel): Tensor[] => [
  logits,
  ...(secondLogits ? [secondLogits] : []),
  ...tapped,
];

/** Traces backbone, method and head. */
export function traceModel(model: ModelSpec, options: TraceOptions): TracedModel {
  return within(options.role ? { role: options.role } : {}, () => traceParts(model, options));
}

function traceParts(model: ModelSpec, { role, batch, training, disable, taps = [] }: TraceOptions): TracedModel {
  const { config } = model.backbone;
  const named = (name: string) => inputName(role, name);
  const images = input(named('images'), imagesShape(config, batch));
  const scope = new ModelScope(training, batch, named);
  const method = methodByName(model.method);
  if (!method.families.includes(config.family)) {
    const known = method.families.join(' or ');
    const what = `${method.title} is defined for ${known} backbones, ${model.backbone.name} is a ${config.family}`;
    throw new IdatError('method.family', `${method.name}: ${what}; choose another method (idat methods) or backbone`);
  }
  const { dropTokens = 0 } = model;
  const kept = () => keptPatchCount(droppablePatches(config), dropTokens);
  const keptPatches = training && dropTokens > 0 ? input(named('keptPatches'), [batch, kept()], 'int64') : null;
  const pass = (dropPathName: string, taps: readonly Tap[]) => {
    const dropPath =
      training && model.dropPath > 0 ? input(named(dropPathName), [blocks(config).length, 2, batch]) : null;
    return applyPasses(TRACE_PASSES, tracePass(model, method, scope, { images, dropPath, keptPatches }, taps), disable);
  };
  let [logits, ...tapped] = pass('dropPath', taps) as [Tensor, ...Tensor[]];
  let secondLogits: Tensor | null = null;
  if (training && method.consistency) {
    scope.startPass(SECOND_PASS);
    // what both passes compute alike is one: so it crosses once where a frozen prefix is cut off
    const both = [...pass(`${SECOND_PASS}.dropPath`, []), logits, ...tapped];
    [secondLogits, logits, ...tapped] = commonSubexpressions.apply(both) as [Tensor, Tensor, ...Tensor[]];
  }
  return {
    images,
    logits,
    secondLogits,
    tapped,
    parametersInput: named('parameters'),
    parameters: scope.tensors,
    layout: scope.layout(),
    draws: scope.draws,
  };
}

/** What the names of a second pass's own inputs start with, behind the role. */
export const SECOND_PASS = 'second';

/** The logits of one pass over the images, and behind them what is tapped. */
function tracePass(
  model: ModelSpec,
  method: Method,
  scope: ModelScope,
  inputs: BackboneInputs,
  taps: readonly Tap[],
): Tensor[] {
  const { config, weights } = model.backbone;
  const region = regionOfModel(model);
  const own = method.hooks(scope, config, method.options.parse(model.methodOptions), region);
  const hooks = hooksWithin(config, region, labelHooks(own, { part: `methods.${method.name}` }));
  const weight = (name: string, shape: readonly number[]) =>
    method.trains(name) && region.has(name)
      ? scope.tensor(name, shape, () => weights.values(name, shape))
      : weights.constant(name, shape);
  const handedOn: Tensor[] = [];
  const attended: Tensor[] = [];
  const noting: Hooks = {
    ...hooks,
    residual2(block, middle, sum) {
      handedOn[block] = hooks.residual2?.(block, middle, sum) ?? sum;
      return handedOn[block];
    },
    attention(block, shares) {
      attended[block] = hooks.attention?.(block, shares) ?? shares;
      return attended[block];
    },
  };
  const features = within({ part: 'backbones.residual' }, () =>
    traceBackbone(config, weight, noting, { ...inputs, dropPathFrom: region.blocks[0]!.index }),
  );
  const width = featureWidth(config);
  const start = (model.head === 'published' && method.publishedHead?.(width)) || HEAD;
  const kernel = scope.tensor('head.weight', [model.classes, width], start.weight);
  const bias = scope.tensor('head.bias', [model.classes], start.bias);
  const logits = within({ part: 'train.head' }, () => linear(features, kernel, bias));
  const read = ({ block, attention }: Tap) =>
    block === null ? features : attention ? attended[block]! : handedOn[block]!;
  return [logits, ...taps.map((tap) => tapped(read(tap), tap, scope))];
}

function tapped(x: Tensor, { block, width }: Tap, scope: ModelScope): Tensor {
  if (width === null) return x;
  const name = `${TRAINING_ONLY}blocks.${block}`;
  const weight = scope.tensor(`${name}.weight`, [width, x.shape.at(-1)!], truncatedNormal(0.02));
  return within({ part: 'distill.features' }, () => linear(x, weight, scope.tensor(`${name}.bias`, [width], zeroInit)));
}

const HEAD: HeadInitialisers = { weight: truncatedNormal(0.02), bias: zeroInit };

/** What `outputsOf` gives, computed from what the prefix leaves. */
function cutOff(prefix: Prefix, traced: TracedModel, role: string): Tensor[] {
  const { images } = traced;
  const cut = cutFrozenPrefix(outputsOf(traced), images, (index) => inputName(role, prefixInput(index)));
  const shapes = cut?.boundary.map((t) => imageShape(t, images.shape[0]!)) ?? [];
  const fits =
    shapes.length === prefix.tensors.length && shapes.every((s, i) => sameShape(s, prefix.tensors[i]!.shape));
  if (cut && fits) return cut.rest;
  const [given, own] = [prefix.tensors.map(({ shape }) => shape), shapes].map((list) =>
    list.map(formatShape).join(', '),
  );
  throw new Error(`the prefix was built for another model: it leaves ${given} for each image, this one needs ${own}`);
}
