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
  | ({ kind: 'epoch'; epochs: number; seconds: number } & EpochMetrics)
  | { kind: 'evaluate'; done: number; total: number; split: string }
  /** Something worth knowing, in a sentence. `code` is a stable word for what faces have advice on. */
  | { kind: 'note'; text: string; code?: NoteCode };

/**
 * `student.preset`: nobody chose the student; `prefix.uncached`: what the frozen part computes cannot be kept;
 * `run.unfinished`: a run is used that has not ended; `recipe.recognised`: nobody chose the recipe; the others are what was
 * found in the data.
 */
export type NoteCode = 'student.preset' | 'prefix.uncached' | 'run.unfinished' | 'recipe.recognised' | DataNoteCode;

/** How a caller follows and stops a run. */
export interface RunControl {
  onProgress?: (event: Progress) => void;
  /** When aborted, the running step is finished and all is saved. */
  signal?: AbortSignal;
}
