/** What a run tells its caller while it works. */
import type { DataNoteCode } from '../data/data-notes.js';
import type { EpochMetrics, Losses, Phase } from '../settings/record.js';

export type Progress =
  /** Bytes of a model's weights; `total` is null where nobody knows. */
  | { kind: 'fetch'; name: string; done: number; total: number | null; bytesPerSecond: number }
  | { kind: 'decode'; done: number; total: number }
  | {
      kind: 'step';
      phase: Phase;
      epoch: number;
      epochs: number;
      step: number;
      steps: number;
      /** Means over the epoch so far. */
      losses: Losses;
      trainAccuracy: number;
      lr: number;
      secondsLeft: number;
      imagesPerSecond: number;
    }
  /** `look`: what was measured after the epoch, counted; null where nothing was. */
  | ({ kind: 'epoch'; epochs: number; seconds: number; look: Look | null } & EpochMetrics)
  /** Before the first step. */
  | ({ kind: 'estimate' } & Estimate)
  | { kind: 'evaluate'; done: number; total: number; split: string }
  /** Something worth knowing, in a sentence. `code` is a stable word for what faces have advice on. */
  | { kind: 'note'; text: string; code?: NoteCode };

/** What a run will take from where it stands. */
export interface Estimate {
  /** Of training and measuring, from calls of the run's own programs on its own images that were timed. */
  readonly seconds: number;
  /** Whether that is a bound, as the protocol chooses the number of epochs. */
  readonly atMost: boolean;
  /** Of this process, at its height. */
  readonly memoryBytes: number;
  /** Written: pixels and the prefix's results that fit into no memory or go into a cache, and the run directory. */
  readonly diskBytes: number;
  /** Where it is long: what would make it shorter, each by itself, the shortest first. */
  readonly faster: readonly Faster[];
}

/** Another value of a setting, and how long the run would take with it. */
export interface Faster {
  readonly setting: 'epochs' | 'student' | 'imageSize' | 'frozen' | 'method';
  readonly value: string | number;
  readonly seconds: number;
}

export interface Look {
  readonly split: 'val' | 'test';
  readonly correct: number;
  readonly total: number;
}

/**
 * `student.preset`: nobody chose the student; `prefix.uncached`: what the frozen part computes cannot be kept;
 * `run.unfinished`: a run is used that has not ended; `recipe.recognised`: nobody chose the recipe; `cache.unasked`: a run
 * names a folder that it may not choose; `threads.more`: it asks for more threads than there are cores; `moves.none`:
 * training images are not moved, as classes seem to depend on where things are; the others are what
 * was found in the data.
 */
export type NoteCode =
  | 'student.preset'
  | 'prefix.uncached'
  | 'run.unfinished'
  | 'recipe.recognised'
  | 'cache.unasked'
  | 'threads.more'
  | 'moves.none'
  | DataNoteCode;

/** How a caller follows and stops a run. */
export interface RunControl {
  onProgress?: (event: Progress) => void;
  /** When aborted, the running step is finished and all is saved. */
  signal?: AbortSignal;
}
