/**
 * AdamW on the flat vector of trainable parameters, as PyTorch computes it.
 *
 * With gradient g, learning rate η, weight decay λ, step t counted from 1:
 *
 *     θ ← θ·(1 − η·λ)
 *     m ← m + (1 − β₁)·(g − m)            v ← β₂·v + (1 − β₂)·g²
 *     θ ← θ − η/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + ε)
 *
 * @see Loshchilov, Hutter 2019, arXiv:1711.05101; torch.optim.AdamW
 */

export interface AdamWOptions {
  /** Default [0.9, 0.999]. */
  betas?: readonly [number, number];
  /** Default 1e-8; added to the root of the bias-corrected second moment. */
  eps?: number;
  /** λ, used in `decayRanges` alone. Default 0. */
  weightDecay?: number;
  /** The parts [start, end) of the vector that decay, in increasing order. Default none; see `decayRanges`. */
  decayRanges?: readonly Range[];
  /** As long as the parameters: those with a 0 stay as they are, whatever their gradient. Default: all are updated. */
  mask?: Float32Array | null;
}

/** The elements from `start` up to and without `end`. */
export type Range = readonly [start: number, end: number];

/** All that has to be saved to go on as if nothing had happened. */
export interface AdamWState {
  /** Updates made so far. */
  steps: number;
  /** m, as long as the parameters. */
  firstMoment: Float32Array;
  /** v, as long as the parameters. */
  secondMoment: Float32Array;
}

/**
 * Which numbers are kept how: parameters and moments are float32, because that is what a checkpoint stores, and a run
 * resumed from one must end with the very same bytes. Everything between is float64, JavaScript's own arithmetic: each
 * of θ, m, v is rounded once a step, when it is stored, where PyTorch's float32 rounds after each of some eight
 * operations. A rounding is at most 6e-8 of the value, so 60 steps stay within 4e-6 of a float64 run at the very worst
 * and, as roundings go either way, within about 5e-7 in practice.
 */
export class AdamW {
  readonly state: AdamWState;
  readonly #beta1: number;
  readonly #beta2: number;
  readonly #eps: number;
  readonly #weightDecay: number;
  readonly #mask: Float32Array | null;
  /** The whole vector cut into parts that decay and parts that do not. */
  readonly #parts: { start: number; end: number; decays: boolean }[] = [];

  /**
   * @param size number of parameters
   * @param state where to go on from; updated in place. Default: the beginning
   */
  constructor(size: number, options: AdamWOptions = {}, state: AdamWState = initialState(size)) {
    const { betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0, decayRanges = [], mask = null } = options;
    checkLength('first moment', state.firstMoment, size);
    checkLength('second moment', state.secondMoment, size);
    if (mask) checkLength('mask', mask, size);
    this.state = state;
    [this.#beta1, this.#beta2] = betas;
    this.#eps = eps;
    this.#weightDecay = weightDecay;
    this.#mask = mask;
    let position = 0;
    for (const [start, end] of decayRanges) {
      if (!(position <= start && start <= end && end <= size)) {
        throw new RangeError(`AdamW: decay range [${start}, ${end}) must lie within [${position}, ${size})`);
      }
      this.#parts.push({ start: position, end: start, decays: false }, { start, end, decays: true });
      position = end;
    }
    this.#parts.push({ start: position, end: size, decays: false });
  }

  /** Updates the parameters in place. The gradient is read only. */
  step(params: Float32Array, gradient: Float32Array, lr: number): void {
    const { state } = this;
    const mask = this.#mask;
    checkLength('parameter vector', params, state.firstMoment.length);
    checkLength('gradient', gradient, state.firstMoment.length);
    state.steps += 1;
    // what the inner loop reads is local: over a million numbers that is twice as fast
    const { firstMoment, secondMoment } = state;
    const [beta1, beta2, eps] = [this.#beta1, this.#beta2, this.#eps];
    const stepSize = lr / (1 - beta1 ** state.steps);
    const rootCorrection = Math.sqrt(1 - beta2 ** state.steps);
    for (const { start, end, decays } of this.#parts) {
      const shrink = decays ? 1 - lr * this.#weightDecay : 1;
      for (let i = start; i < end; i++) {
        if (mask?.[i] === 0) continue;
        const g = gradient[i]!;
        const m = firstMoment[i]! + (1 - beta1) * (g - firstMoment[i]!);
        const v = beta2 * secondMoment[i]! + (1 - beta2) * g * g;
        params[i] = params[i]! * shrink - (stepSize * m) / (Math.sqrt(v) / rootCorrection + eps);
        firstMoment[i] = m;
        secondMoment[i] = v;
      }
    }
  }
}

function initialState(size: number): AdamWState {
  return { steps: 0, firstMoment: new Float32Array(size), secondMoment: new Float32Array(size) };
}

function checkLength(what: string, array: Float32Array, size: number): void {
  if (array.length !== size) throw new RangeError(`AdamW: the ${what} has ${array.length} elements, expected ${size}`);
}

/** Tensors that never decay, whatever their shape: positions, tokens of a ViT's own, and Swin's relative position tables. */
const UNDECAYED = new Set([
  'bias',
  'pos_embed',
  'cls_token',
  'dist_token',
  'reg_token',
  'relative_position_bias_table',
]);

/**
 * Whether weight decay applies to a tensor: to matrices, and not to tensors of at most one dimension, biases, position
 * embeddings and class tokens.
 *
 * @param name with dots (or a slash after the model's name), such as `blocks.0.attn.qkv.weight`
 * @see timm 0.6.13, `param_groups_weight_decay`, and the `no_weight_decay` of its ViT and Swin
 */
export function decays(name: string, shape: readonly number[]): boolean {
  return shape.length > 1 && !UNDECAYED.has(name.slice(name.search(/[^./]*$/)));
}

/** The parts of the flat vector that decay: those of the tensors that do, joined where they touch. */
export function decayRanges(
  tensors: Iterable<{ readonly name: string; readonly shape: readonly number[]; readonly offset: number }>,
): Range[] {
  const ranges: [number, number][] = [];
  for (const { name, shape, offset } of [...tensors].sort((a, b) => a.offset - b.offset)) {
    if (!decays(name, shape)) continue;
    const end = offset + shape.reduce((size, extent) => size * extent, 1);
    const last = ranges.at(-1);
    if (last?.[1] === offset) last[1] = end;
    else ranges.push([offset, end]);
  }
  return ranges;
}
