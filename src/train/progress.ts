/** What a run tells its caller while it works. */
import type { StepProfile } from './profile.js';

/** Sums over images of one epoch, or their means. */
export interface Losses {
  student: number;
  teacher: number;
  distill: number;
  total: number;
}

/** `select` looks for the best epoch on val; `final` trains what is kept. */
export type Phase = 'select' | 'final';

/** One line of metrics.jsonl; the same for every undisturbed or resumed run, so it holds no times. */
export interface EpochMetrics {
  phase: Phase;
  epoch: number;
  lr: number;
  loss: Losses;
  trainAccuracy: number;
  teacherTrainAccuracy: number | null;
  /** Top-1 on what the protocol looks at after each epoch; null where it looks at nothing. */
  valAccuracy: number | null;
  testAccuracy: number | null;
}

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
  | { kind: 'note'; text: string };

/** How a caller follows and stops a run. */
export interface RunControl {
  onProgress?: (event: Progress) => void;
  /** When given, a few steps are run under the profiler before training, on copies, and it gets the outcome. */
  onProfile?: (profile: StepProfile, runDir: string) => Promise<void>;
  /** When aborted, the running step is finished and all is saved. */
  signal?: AbortSignal;
}
