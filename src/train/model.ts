/**
 * One model of a step, traced: a frozen backbone, its tuning method's tensors, a new head.
 */
import { blocks, featureWidth, traceBackbone } from '../backbones/architecture.js';
import type { Backbone } from '../backbones/backbone.js';
import { labelHooks } from '../backbones/hooks.js';
import type { Program, WeightSink } from '../graph/emit.js';
import { input, linear, parameter } from '../graph/ops/index.js';
import { layout, parameterName, type Slot } from '../graph/pack.js';
import { cutFrozenPrefix } from '../graph/passes/frozen-prefix.js';
import { applyPasses, TRACE_PASSES } from '../graph/passes/index.js';
import type { Pass } from '../graph/passes/pass.js';
import { formatShape, type Shape, sameShape, type Tensor, within } from '../graph/tensor.js';
import { methodByName } from '../methods/index.js';
import { type Initialiser, type Scope, truncatedNormal, zeroInit } from '../methods/method.js';
import { randomStream } from '../random.js';

export type Role = 'student' | 'teacher';

/** One model to be tuned: a frozen backbone, a tuning method and a new head. */
export interface ModelSpec {
  readonly backbone: Backbone;
  /** Name of a tuning method of src/methods: sequential, parallel, parallel-shared, linear, full. */
  readonly method: string;
  /** Options of the method, such as `{ hidden: 4, scale: 0.1 }`; missing ones take the method's defaults. */
  readonly methodOptions: Readonly<Record<string, unknown>>;
  readonly classes: number;
  /** Drop-path rate of the last block; earlier blocks rise to it linearly from 0. */
  readonly dropPath: number;
}

/** The trainable tensors of one model: a flat float32 vector and where each tensor lies in it. */
export interface TrainableLayout {
  readonly slots: readonly Slot[];
  /** Number of trainable numbers. */
  readonly size: number;
  /** The starting values; the same seed and role give the same numbers. */
  initial(seed: number, role: Role): Float32Array;
}

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

export interface TracedModel {
  readonly images: Tensor;
  readonly logits: Tensor;
  readonly parametersInput: string;
  readonly parameters: readonly Tensor[];
  readonly layout: TrainableLayout;
}

/** A model ready to be differentiated: less the prefix if there is one, and rewritten. */
export function prepareModel(
  model: ModelSpec,
  role: string,
  batch: number,
  prefix: Prefix | null | undefined,
  disable: readonly string[],
  passes: readonly Pass[],
): TracedModel {
  const traced = traceModel(model, role, batch, disable);
  const rest = prefix ? cutOff(prefix, traced, role) : traced.logits;
  return { ...traced, logits: applyPasses(passes, [rest], disable)[0]! };
}

/** Traces backbone, method and head; names of its inputs start with `role`. */
export function traceModel(model: ModelSpec, role: string, batch: number, disable: readonly string[]): TracedModel {
  return within(role ? { role } : {}, () => traceParts(model, role, batch, disable));
}

function traceParts(model: ModelSpec, role: string, batch: number, disable: readonly string[]): TracedModel {
  const { config, weights } = model.backbone;
  const named = (name: string) => inputName(role, name);
  const images = input(named('images'), [batch, config.channels, config.imageSize, config.imageSize]);
  const dropPath = model.dropPath > 0 ? input(named('dropPath'), [blocks(config).length, 2, batch]) : null;

  const trainables = new TrainableScope();
  const method = methodByName(model.method);
  const hooks = labelHooks(method.hooks(trainables, config, method.options.parse(model.methodOptions)), {
    part: `methods.${method.name}`,
  });
  const weight = (name: string, shape: readonly number[]) =>
    method.trains(name)
      ? trainables.tensor(name, shape, () => weights.values(name, shape))
      : weights.constant(name, shape);
  const features = within({ part: 'backbones.residual' }, () =>
    traceBackbone(config, weight, hooks, { images, dropPath }),
  );
  const kernel = trainables.tensor('head.weight', [model.classes, featureWidth(config)], truncatedNormal(0.02));
  const bias = trainables.tensor('head.bias', [model.classes], zeroInit);
  const whole = within({ part: 'train.head' }, () => linear(features, kernel, bias));
  const logits = applyPasses(TRACE_PASSES, [whole], disable)[0]!;
  return {
    images,
    logits,
    parametersInput: named('parameters'),
    parameters: trainables.tensors,
    layout: trainables.layout(),
  };
}

/** The logits computed from what the prefix leaves. */
function cutOff(prefix: Prefix, { logits, images }: TracedModel, role: string): Tensor {
  const cut = cutFrozenPrefix([logits], images, (index) => inputName(role, prefixInput(index)));
  const shapes = cut?.boundary.map((t) => imageShape(t, images.shape[0]!)) ?? [];
  const fits =
    shapes.length === prefix.tensors.length && shapes.every((s, i) => sameShape(s, prefix.tensors[i]!.shape));
  if (cut && fits) return cut.rest[0]!;
  const [given, own] = [prefix.tensors.map(({ shape }) => shape), shapes].map((list) =>
    list.map(formatShape).join(', '),
  );
  throw new Error(`the prefix was built for another model: it leaves ${given} for each image, this one needs ${own}`);
}

/** Collects a model's trainable tensors in the order in which the forward pass asks for them. */
class TrainableScope implements Scope {
  private readonly known = new Map<string, { tensor: Tensor; init: Initialiser }>();

  tensor(name: string, shape: readonly number[], init: Initialiser): Tensor {
    const earlier = this.known.get(name);
    if (earlier) return earlier.tensor;
    const tensor = parameter(name, shape);
    this.known.set(name, { tensor, init });
    return tensor;
  }

  get tensors(): Tensor[] {
    return [...this.known.values()].map(({ tensor }) => tensor);
  }

  layout(): TrainableLayout {
    const slots = layout(this.tensors.map((t) => ({ name: parameterName(t), shape: t.shape })));
    const size = slots.reduce((sum, slot) => sum + slot.size, 0);
    const initial = (seed: number, role: string) => {
      const values = new Float32Array(size);
      for (const slot of slots) {
        const random = randomStream(seed, 'init', role, slot.name);
        values.set(this.known.get(slot.name)!.init(slot.size, random), slot.offset);
      }
      return values;
    };
    return { slots, size, initial };
  }
}
