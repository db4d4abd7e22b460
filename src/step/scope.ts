/**
 * What a tuning method adds to a model while it is traced: its trainable tensors, and what a step draws at random.
 */
import { input, mul, parameter, scale, toFloat } from '../graph/ops/index.js';
import { layout, parameterName, type Slot } from '../graph/pack.js';
import { type Shape, size, type Tensor } from '../graph/tensor.js';
import type { Fill, Scope } from '../methods/method.js';
import type { Initialiser } from '../methods/parts/initialisers.js';
import { type RandomStream, randomStream } from '../random.js';
import type { Role } from './roles.js';

/** The trainable tensors of one model: a flat float32 vector and where each tensor lies in it. */
export interface TrainableLayout {
  readonly slots: readonly Slot[];
  /** Number of trainable numbers. */
  readonly size: number;
  /** The starting values; the same seed and role give the same numbers. */
  initial(seed: number, role: Role): Float32Array;
  /** 1 for each number that trains and 0 for each that keeps its starting value, in the same way; null where all train. */
  mask(seed: number, role: Role): Float32Array | null;
}

/** An input whose numbers are drawn anew at every step. */
export interface Draw {
  /** Without the role: `dropout.blocks.3.adapter`. */
  readonly name: string;
  /** Whether each image has numbers of its own, or a batch those of all its images. */
  readonly each: 'image' | 'batch';
  /** Numbers for one image, or for the batch. */
  readonly size: number;
  readonly fill: Fill;
}

interface KnownTensor {
  readonly tensor: Tensor;
  readonly init: Initialiser;
  readonly mask: Initialiser | undefined;
}

/** Collects tensors and draws in the order in which the forward pass asks for them. */
export class ModelScope implements Scope {
  readonly draws: Draw[] = [];
  private readonly known = new Map<string, KnownTensor>();
  private pass = '';

  /**
   * @param images in one call
   * @param inputName from a name of the model's own to the graph's
   */
  constructor(
    readonly training: boolean,
    private readonly images: number,
    private readonly inputName: (name: string) => string,
  ) {}

  /** From here on another pass over the same images is traced: the same tensors, draws of its own. */
  startPass(name: string): void {
    this.pass = `${name}.`;
  }

  tensor(name: string, shape: Shape, init: Initialiser, mask?: Initialiser): Tensor {
    const earlier = this.known.get(name);
    if (earlier) return earlier.tensor;
    const tensor = parameter(name, shape);
    this.known.set(name, { tensor, init, mask });
    return tensor;
  }

  draw(own: string, shape: Shape, each: 'image' | 'batch', fill: Fill): Tensor {
    const name = `${this.pass}${own}`;
    if (!this.training) throw new Error(`'${name}': nothing is drawn outside of training`);
    if (this.draws.some((draw) => draw.name === name)) throw new Error(`'${name}' is drawn twice`);
    this.draws.push({ name, each, size: size(shape) / (each === 'image' ? this.images : 1), fill });
    return toFloat(input(this.inputName(name), shape, 'uint8'));
  }

  dropout(name: string, x: Tensor, rate: number): Tensor {
    if (!this.training || rate === 0) return x;
    const kept = this.draw(`dropout.${name}`, x.shape, 'image', fillKept(rate));
    return scale(mul(x, kept), 1 / (1 - rate));
  }

  get tensors(): Tensor[] {
    return [...this.known.values()].map(({ tensor }) => tensor);
  }

  layout(): TrainableLayout {
    const slots = layout(this.tensors.map((t) => ({ name: parameterName(t), shape: t.shape })));
    const total = slots.reduce((sum, slot) => sum + slot.size, 0);
    const initial = (seed: number, role: Role) => {
      const values = new Float32Array(total);
      for (const slot of slots) {
        const random = randomStream(seed, 'init', role, slot.name);
        values.set(this.known.get(slot.name)!.init(slot.shape, random), slot.offset);
      }
      return values;
    };
    const mask = (seed: number, role: Role) => {
      const masked = slots.filter(({ name }) => this.known.get(name)!.mask);
      if (masked.length === 0) return null;
      const values = new Float32Array(total).fill(1);
      for (const { name, shape, offset } of masked)
        values.set(this.known.get(name)!.mask!(shape, randomStream(seed, 'mask', role, name)), offset);
      return values;
    };
    return { slots, size: total, initial, mask };
  }
}

/**
 * 1 where a number is kept and 0 where it is dropped, each dropped with probability `rate` independently of the others.
 *
 * Drawn by the lengths of what lies between two that are dropped, which are geometrically distributed:
 * P(length ≥ n) = (1 − rate)ⁿ. That takes one random number for each that is dropped.
 */
export function fillKept(rate: number): Fill {
  const perNumber = Math.log1p(-rate);
  return (values, random) => {
    const gap = () => Math.floor(Math.log(1 - random.uniform()) / perNumber);
    values.fill(1);
    for (let at = gap(); at < values.length; at += 1 + gap()) values[at] = 0;
  };
}

/** The numbers of a draw for the images at these positions of a batch: the same whichever call they come in. */
export function drawn(
  draw: Draw,
  positions: readonly number[],
  stream: (...purpose: (string | number)[]) => RandomStream,
): Uint8Array {
  const { name, each, size: length, fill } = draw;
  if (each === 'batch') {
    const values = new Uint8Array(length);
    fill(values, stream(name));
    return values;
  }
  const values = new Uint8Array(positions.length * length);
  positions.forEach((position, i) => {
    fill(values.subarray(i * length, (i + 1) * length), stream(name, position));
  });
  return values;
}
