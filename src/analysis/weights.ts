/** What training made of a model's tensors: how they are spread in each block (the paper's Figures 1, 3 and 6 to 9). */
import type { Slot } from '../graph/pack.js';
import { histogram, type Moments, moments, shareNearZero } from '../statistics/index.js';
import type { Role } from '../step/roles.js';

/** A trained tensor in numbers. */
export interface TensorWeights extends Moments {
  readonly name: string;
  /** Its name within a block, such as `adapter.linear1.weight`; of one outside the blocks its whole name. */
  readonly kind: string;
  /** Counted from 0 over all stages; null outside the blocks. */
  readonly block: number | null;
  readonly shape: readonly number[];
  /** Share of its numbers with |w| ≤ `bound`. */
  readonly nearZero: number;
  readonly histogram: readonly number[];
}

export interface ModelWeights {
  readonly role: Role;
  readonly backbone: string;
  readonly method: string;
  readonly blocks: number;
  readonly tensors: readonly TensorWeights[];
}

export interface WeightsReport {
  /** What `nearZero` counts. */
  readonly bound: number;
  /** Each kind's histograms reach from −range to range, in equal bins; what lies outside is in the outermost. */
  readonly ranges: Readonly<Record<string, number>>;
  readonly models: readonly ModelWeights[];
}

/** A model's trained numbers. */
export interface TrainedModel {
  readonly role: Role;
  readonly backbone: string;
  readonly method: string;
  /** Names of its blocks, in order. */
  readonly blocks: readonly string[];
  readonly slots: readonly Slot[];
  readonly parameters: Float32Array;
}

/** Half the deviation that the paper's adapters begin with. */
export const NEAR_ZERO = 0.01;
const BINS = 41;
/** Histograms reach this many deviations at most: a few large numbers would make a needle of all others. */
const WIDEST = 6;

/**
 * The spread of every trained tensor of the models. Histograms of one kind have the same bins in all blocks and models, so that
 * they can be held side by side.
 */
export function weightsReport(models: readonly TrainedModel[], bound = NEAR_ZERO): WeightsReport {
  const tensors = models.map(({ blocks, slots, parameters }) =>
    slots.map(({ name, shape, offset, size }) => {
      const values = parameters.subarray(offset, offset + size);
      return { name, ...placeOf(name, blocks), shape, values, moments: moments(values) };
    }),
  );
  const ranges: Record<string, number> = {};
  for (const { kind, moments: of } of tensors.flat()) {
    const reach = Math.min(Math.max(Math.abs(of.lowest), Math.abs(of.highest)), WIDEST * of.std + Math.abs(of.mean));
    ranges[kind] = Math.max(ranges[kind] ?? 0, reach);
  }
  for (const kind of Object.keys(ranges)) ranges[kind] ||= 1; // all zero
  return {
    bound,
    ranges,
    models: models.map(({ role, backbone, method, blocks }, m) => ({
      ...{ role, backbone, method },
      blocks: blocks.length,
      tensors: tensors[m]!.map(({ values, moments: of, ...names }) => ({
        ...names,
        ...of,
        nearZero: shareNearZero(values, bound),
        histogram: histogram(values, -ranges[names.kind]!, ranges[names.kind]!, BINS),
      })),
    })),
  };
}

function placeOf(name: string, blocks: readonly string[]): { kind: string; block: number | null } {
  const block = blocks.findIndex((own) => name.startsWith(`${own}.`));
  return block < 0 ? { kind: name, block: null } : { kind: name.slice(blocks[block]!.length + 1), block };
}

/**
 * The kinds worth a picture: matrices of the blocks, or where a method trains none (such as bitfit) their vectors, the largest
 * first in name's order.
 */
export function picturedKinds({ models }: WeightsReport, most: number): string[] {
  const inBlocks = models.flatMap(({ tensors }) => tensors.filter(({ block }) => block !== null));
  const matrices = inBlocks.filter(({ shape }) => shape.length > 1);
  const chosen = matrices.length > 0 ? matrices : inBlocks;
  const sizes = new Map<string, number>();
  for (const { kind, n } of chosen) sizes.set(kind, (sizes.get(kind) ?? 0) + n);
  const largest = [...sizes].sort(([, a], [, b]) => b - a).slice(0, most);
  return largest.map(([kind]) => kind).sort();
}
