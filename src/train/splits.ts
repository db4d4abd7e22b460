/**
 * Opens the splits of a data set as the models of a run read them, and closes them together.
 */
import { type ModelInputs, pixelInputs, type SplitInputs } from './inputs.js';
import type { ModelSpec } from './model.js';
import type { Pixels, SplitName } from './pixels.js';
import {
  type LoadedPrefix,
  MemoryBudget,
  openPrefixStore,
  type PrefixStorage,
  type PrefixStore,
} from './prefix-store.js';
import type { TunedModels } from './run-directory.js';

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
  /** Frees what was kept in memory and in temporary files. */
  close(): Promise<void>;
}

/**
 * @param memoryBytes for all splits together, see `openPrefixStore`
 * @param cacheDir folder for what later runs may use, null for none
 */
export function openSplits(
  pixels: Pixels,
  models: TunedModels,
  prefixes: LoadedPrefixes,
  options: { memoryBytes: number; cacheDir: string | null; onProblem(text: string): void },
): Splits {
  const storage: PrefixStorage = {
    memory: new MemoryBudget(options.memoryBytes),
    folder: options.cacheDir,
    onProblem: options.onProblem,
  };
  const stores = new Map<string, Promise<PrefixStore>>();
  const open = async (split: SplitName, role: 'student' | 'teacher', prefix: LoadedPrefix | null, keep: boolean) => {
    const store = pixels[split]![role]!;
    if (!prefix) return pixelInputs(store, specOf(models, role));
    const key = JSON.stringify([split, prefix.identity]);
    if (!stores.has(key)) stores.set(key, openPrefixStore(store, prefix, keep ? storage : null));
    return stores.get(key)!;
  };
  return {
    training: async (split) => ({
      student: await open(split, 'student', prefixes.student, true),
      teacher: models.teacher && (await open(split, 'teacher', prefixes.teacher, true)),
    }),
    evaluation: (split, again) => open(split, 'student', prefixes.evaluation, again),
    close: async () => {
      for (const store of stores.values()) await (await store).close();
    },
  };
}

const specOf = (models: TunedModels, role: 'student' | 'teacher'): ModelSpec => models[role]!.spec;
