/**
 * Opens the splits of a data set as the models of a run read them, and closes them together.
 */

import { type Looks, looksOf } from '../data/augment.js';
import type { PixelStore } from '../data/pixels.js';
import type { RunPlan } from '../settings/plan.js';
import type { SplitName } from '../settings/protocols.js';
import type { TunedModel } from '../step/model.js';
import type { EachRole, Pair, Role } from '../step/roles.js';
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

/** Whether both models read what one prefix makes of the same images, which is computed and kept once. */
export const sharesPrefix = (
  { augmentation }: Pick<RunPlan, 'augmentation'>,
  { student, teacher }: Pick<LoadedPrefixes, Role>,
): boolean => student === teacher && looksOf(augmentation, false) === looksOf(augmentation, true);

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
 * @param looks of training images
 * @param memoryBytes for all splits together, see `openPrefixStore`
 * @param files for what does not fit; null: none
 */
export function openSplits(
  pixels: Pixels,
  models: Pair<TunedModel>,
  prefixes: LoadedPrefixes,
  options: { looks: EachRole<Looks>; memoryBytes: number; files: PrefixFiles | null; onProblem(text: string): void },
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
    { keep, looks }: { keep: boolean; looks: Looks },
  ) => {
    const store = pixels[split]![role]!;
    if (!prefix) return pixelInputs(store, models[role]!.spec);
    const key = JSON.stringify([split, prefix.identity, looks]);
    if (!stores.has(key)) stores.set(key, openPrefixStore(store, prefix, keep ? storage : null, looks));
    return stores.get(key)!;
  };
  const trained = (role: Role) => ({ keep: true, looks: options.looks[role] });
  return {
    training: async (split) => ({
      student: await open(split, 'student', prefixes.student, trained('student')),
      teacher: models.teacher && (await open(split, 'teacher', prefixes.teacher, trained('teacher'))),
    }),
    // as they are; where both looks are trained on, the store is the same
    reading: (split, role, prefix) => {
      const looks = options.looks[role] === 'both' ? 'both' : 'plain';
      return open(split, role, prefix, { keep: true, looks });
    },
    evaluation: (split, again) => open(split, 'student', prefixes.evaluation, { keep: again, looks: 'plain' }),
    close: async () => {
      for (const store of stores.values()) await (await store).close();
    },
  };
}
