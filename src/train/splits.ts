/**
 * Opens the splits of a data set as the models of a run read them, and closes them together.
 */

import type { PixelStore } from '../data/pixels.js';
import type { SplitName } from '../settings/protocols.js';
import type { TunedModel } from '../step/model.js';
import type { Pair, Role } from '../step/roles.js';
import { type ModelInputs, pixelInputs, type SplitInputs } from './inputs.js';
import {
  type LoadedPrefix,
  MemoryBudget,
  openPrefixStore,
  type PrefixFiles,
  type PrefixStorage,
  type PrefixStore,
} from './prefix-store.js';

/** A split as both models see it: the same images in the same order; the same store where both read the same size. */
export type SplitPixels = Pair<PixelStore>;

export type Pixels = Partial<Record<SplitName, SplitPixels>>;

/** The frozen prefixes of a run; null where a model has none. */
export interface LoadedPrefixes {
  readonly student: LoadedPrefix | null;
  readonly teacher: LoadedPrefix | null;
  /** Of the student when it is evaluated: nothing is dropped then, so it may reach further than in training. */
  readonly evaluation: LoadedPrefix | null;
}

export interface Splits {
  /** A split to train on. */
  training(split: SplitName): Promise<SplitInputs>;
  /** A split to evaluate the student on. @param again whether it will be looked at more than once */
  evaluation(split: SplitName, again: boolean): Promise<ModelInputs>;
  /** A split as one model reads it behind this prefix, or as pixels. */
  reading(split: SplitName, role: Role, prefix: LoadedPrefix | null): Promise<ModelInputs>;
  /** Frees what was kept in memory and in temporary files. */
  close(): Promise<void>;
}

/**
 * @param mirrors whether training images are mirrored at random
 * @param memoryBytes for all splits together, see `openPrefixStore`
 * @param files for what does not fit; null: none
 */
export function openSplits(
  pixels: Pixels,
  models: Pair<TunedModel>,
  prefixes: LoadedPrefixes,
  options: { mirrors: boolean; memoryBytes: number; files: PrefixFiles | null; onProblem(text: string): void },
): Splits {
  const storage: PrefixStorage = {
    memory: new MemoryBudget(options.memoryBytes),
    files: options.files,
    onProblem: options.onProblem,
  };
  const stores = new Map<string, Promise<PrefixStore>>();
  const open = async (
    split: SplitName,
    role: Role,
    prefix: LoadedPrefix | null,
    { keep, mirrors }: { keep: boolean; mirrors: boolean },
  ) => {
    const store = pixels[split]![role]!;
    if (!prefix) return pixelInputs(store, models[role]!.spec);
    const key = JSON.stringify([split, prefix.identity, mirrors]);
    if (!stores.has(key)) stores.set(key, openPrefixStore(store, prefix, keep ? storage : null, mirrors));
    return stores.get(key)!;
  };
  const trained = { keep: true, mirrors: options.mirrors };
  return {
    training: async (split) => ({
      student: await open(split, 'student', prefixes.student, trained),
      teacher: models.teacher && (await open(split, 'teacher', prefixes.teacher, trained)),
    }),
    // of a split to train on, whose store is the same
    reading: (split, role, prefix) => open(split, role, prefix, trained),
    evaluation: (split, again) => open(split, 'student', prefixes.evaluation, { keep: again, mirrors: false }),
    close: async () => {
      for (const store of stores.values()) await (await store).close();
    },
  };
}
