/**
 * The part of a backbone that a tuning method works in: some of its blocks, and of what lies outside of blocks whatever
 * goes with one of them. What stands before all blocks goes with the first; what stands behind a block, such as a merging
 * of patches or the last norm, goes with that block. So nothing before the first block of a region belongs to it.
 */
import { blocks, tensorShapes } from './architecture.js';
import type { BackboneConfig, BlockSizes } from './backbone.js';
import type { Hooks } from './hooks.js';

/** A block and its position, counted from 0 over all stages. */
export interface RegionBlock extends BlockSizes {
  readonly index: number;
}

export interface Region {
  /** In the order of the backbone; at least one. */
  readonly blocks: readonly RegionBlock[];
  /** Whether the backbone's own tensor of that name belongs to it. */
  has(tensor: string): boolean;
}

/** @param chosen positions of blocks, counted from 0; default: all */
export function regionOf(config: BackboneConfig, chosen?: readonly number[]): Region {
  const all = blocks(config).map((block, index) => ({ ...block, index }));
  if (chosen === undefined) return { blocks: all, has: () => true };
  const own = all.filter(({ index }) => chosen.includes(index));
  let places: Map<string, number> | undefined;
  const has = (tensor: string) => {
    places ??= tensorPlaces(config);
    return chosen.includes(places.get(tensor)!);
  };
  return { blocks: own, has };
}

/** The block that each tensor goes with: its own, or the one before it in the order in which a trace asks for them. */
function tensorPlaces(config: BackboneConfig): Map<string, number> {
  const all = blocks(config);
  let last = 0;
  return new Map(
    [...tensorShapes(config).keys()].map((tensor) => {
      const own = all.findIndex(({ name }) => tensor.startsWith(`${name}.`));
      if (own >= 0) last = own;
      return [tensor, last];
    }),
  );
}

/** The argument that a hook gives back where it does nothing. */
const UNCHANGED: Readonly<Record<keyof Hooks, number>> = {
  patchEmbedding: 0,
  patchNorm: 0,
  mergingNorm: 1,
  tokens: 1,
  norm1: 1,
  qkv: 1,
  keysValues: 1,
  attention: 1,
  projection: 1,
  residual1: 2,
  norm2: 1,
  fc1: 1,
  fc2: 1,
  residual2: 2,
  finalNorm: 0,
};

/** The hooks, in a region alone. */
export function hooksWithin(config: BackboneConfig, region: Region, hooks: Hooks): Hooks {
  const all = blocks(config);
  if (region.blocks.length === all.length) return hooks;
  const inRegion = new Set(region.blocks.map(({ index }) => index));
  const blockOf = (point: keyof Hooks, first: unknown): number => {
    if (point === 'patchEmbedding' || point === 'patchNorm') return 0;
    if (point === 'mergingNorm') return all.map(({ stage }) => stage).lastIndexOf(first as number);
    return point === 'finalNorm' ? all.length - 1 : (first as number);
  };
  const limited = Object.entries(hooks).map(([name, hook]) => {
    const point = name as keyof Hooks;
    const call = hook as (...args: unknown[]) => unknown;
    return [
      point,
      (...args: unknown[]) => (inRegion.has(blockOf(point, args[0])) ? call(...args) : args[UNCHANGED[point]]),
    ];
  });
  return Object.fromEntries(limited) as Hooks;
}
