/** What page and server of the studio say to each other. */
import type { RunComparison } from '../../report/run-comparison.js';
import type { EpochMetrics, Losses, Phase, RunResult } from '../../settings/record.js';
import type { FieldType } from '../../settings/schema-fields.js';

/** `waiting`: its turn has not come; `failed`: what was begun here ended in an error. */
export type ShownState = 'finished' | 'running' | 'stopped' | 'damaged' | 'waiting' | 'failed';

/** A run in the list. */
export interface ShownRun {
  /** Its path below the folder, by which it is asked for. */
  readonly name: string;
  readonly state: 'finished' | 'running' | 'stopped' | 'damaged';
  readonly problem: string | null;
  /** Its data set by name. */
  readonly task: string | null;
  readonly student: string | null;
  readonly teacher: string | null;
  readonly variant: string | null;
  readonly method: string | null;
  readonly loss: string | null;
  readonly seed: number | null;
  readonly protocol: string | null;
  readonly tags: readonly string[];
  readonly note: string;
  readonly progress: { readonly phase: Phase; readonly epochs: number; readonly of: number } | null;
  readonly result: Pick<RunResult, 'accuracy' | 'correct' | 'total' | 'seconds'> | null;
  readonly changed: string;
}

export type JobKind = 'train' | 'resume' | 'sweep' | 'analyse' | 'export' | 'report';

/** Something that was begun from the page. */
export interface ShownJob {
  readonly id: string;
  readonly kind: JobKind;
  /** The run or sweep that it is about, by its path below the folder. */
  readonly about: string;
  readonly state: 'waiting' | 'running' | 'done' | 'failed' | 'stopped';
  /** The command line that does the same. */
  readonly command: string;
  /** Where it is, in words; share that is done and seconds that are left, where they are known. */
  readonly says: string;
  readonly fraction: number | null;
  readonly secondsLeft: number | null;
  /** The last of what it had to say. */
  readonly notes: readonly string[];
  /** Why it failed. */
  readonly error: string | null;
  readonly began: string;
}

/** Where a run is within an epoch. */
export interface LiveStep {
  readonly phase: Phase;
  readonly epoch: number;
  readonly epochs: number;
  readonly step: number;
  readonly steps: number;
  readonly losses: Losses;
  readonly trainAccuracy: number;
  readonly lr: number;
  readonly secondsLeft: number;
  readonly imagesPerSecond: number;
}

/** What comes down the stream of events. */
export type StudioEvent =
  /** All there is, when the stream begins. */
  | {
      readonly kind: 'all';
      readonly runs: readonly ShownRun[];
      readonly jobs: readonly ShownJob[];
      readonly removed: readonly ShownRemoved[];
    }
  | { readonly kind: 'runs'; readonly runs: readonly ShownRun[]; readonly gone: readonly string[] }
  | { readonly kind: 'job'; readonly job: ShownJob }
  | { readonly kind: 'removed'; readonly removed: readonly ShownRemoved[] }
  /** Of the run that the stream was asked for: its epochs from one on, and what is left of its time. */
  | {
      readonly kind: 'epochs';
      readonly from: number;
      readonly epochs: readonly EpochMetrics[];
      readonly secondsLeft: number | null;
    }
  | { readonly kind: 'step'; readonly step: LiveStep };

export interface ShownRemoved {
  readonly id: string;
  readonly name: string;
  readonly removed: string;
}

/** Names and what they are. */
export type Fact = readonly [name: string, value: string];

/** A run by itself. */
export interface RunDetail {
  readonly run: ShownRun;
  readonly classes: readonly string[];
  /** In words. */
  readonly accuracy: string | null;
  readonly interval: { readonly low: number; readonly high: number } | null;
  readonly worst: string | null;
  readonly byClass: readonly {
    readonly name: string;
    readonly correct: number;
    readonly total: number;
    readonly low: number;
    readonly high: number;
  }[];
  readonly facts: readonly Fact[];
  /** The model card: how it was made, and what it is made of. */
  readonly card: readonly { readonly title: string; readonly facts: readonly Fact[] }[];
  /** The command that does it again; null where none does. */
  readonly command: string | null;
  readonly resumeCommand: string;
  /** The command that has another process of this machine save and stop; null where none is at work. */
  readonly stopCommand: string | null;
  /** Settings as the form takes them. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly analyses: readonly ShownAnalysis[];
  readonly hasReport: boolean;
}

export interface ShownAnalysis {
  readonly name: string;
  readonly title: string;
  /** Whether it is there and fits the run. */
  readonly made: boolean;
}

/** Drawings of one analysis; colours as variables, which `css` declares. */
export interface ShownPictures {
  readonly pictures: readonly {
    readonly title: string;
    readonly says: string;
    /** HTML that was checked: plain shapes and text. */
    readonly drawing: string | null;
    /** `data:` address of a raster image, where the drawing is too large. */
    readonly raster: string | null;
    readonly least: number;
  }[];
  readonly light: string;
  readonly dark: string;
}

export interface FormField {
  readonly name: string;
  readonly label: string;
  readonly says: string;
  readonly group: string;
  readonly common: boolean;
  readonly taught: boolean;
  readonly type: FieldType;
  readonly nullable: boolean;
  readonly preset: unknown;
  /** What may be chosen or typed, such as names of backbones. */
  readonly offers: readonly string[];
}

export interface FormFacts {
  readonly groups: readonly string[];
  readonly fields: readonly FormField[];
  /** Data sets that are known: bundled, uploaded, and those of runs. */
  readonly data: readonly { readonly path: string; readonly label: string }[];
  readonly presets: readonly { readonly name: string; readonly says: string }[];
  readonly recipes: readonly string[];
}

/** What the form asks for. Settings are those that were given. */
export interface TrainForm {
  readonly data: string;
  readonly preset?: string;
  readonly recipe?: string;
  readonly settings: Readonly<Record<string, unknown>>;
  /** Makes it a sweep. */
  readonly sweep?: SweepForm;
}

export interface SweepForm {
  readonly name: string;
  readonly seeds: readonly number[];
  /** Whether each run is made without the teacher as well. */
  readonly alone: boolean;
  /** Settings of which each value is tried. */
  readonly vary: Readonly<Record<string, readonly unknown[]>>;
}

export interface ShownIssue {
  /** A field's name; null for the whole. */
  readonly field: string | null;
  readonly message: string;
}

export interface FormAnswer {
  readonly issues: readonly ShownIssue[];
  /** Empty where it cannot be said yet. */
  readonly command: string;
  /** What has to be known, such as which recipe is taken. */
  readonly notes: readonly string[];
  /** How many runs it makes. */
  readonly runs: number;
  /** The plan's file, of a sweep. */
  readonly plan: string | null;
}

export interface Started {
  readonly job: ShownJob;
}

export interface Compared {
  readonly runs: readonly ShownRun[];
  readonly comparison: RunComparison;
  readonly curves: readonly { readonly name: string; readonly epochs: readonly EpochMetrics[] }[];
}

export interface Predicted {
  readonly predictions: readonly { readonly label: string; readonly probability: number }[];
  /** Whether it is likely none of the classes; null where the run does not tell. */
  readonly none: boolean | null;
  readonly error: string | null;
  readonly milliseconds: number;
}

export interface ExportForm {
  readonly format: 'onnx' | 'transformers.js';
  readonly int8: boolean;
  readonly adapterInput: boolean;
}

/** A worker of the queue. */
export interface ShownWorker {
  readonly name: string;
  /** Versions in words. */
  readonly build: string;
  readonly device: string;
  readonly cores: number;
  /** Runs at a time, at most. */
  readonly slots: number;
  /** Since it joined. */
  readonly done: number;
  readonly runs: readonly {
    readonly id: string;
    readonly name: string;
    readonly fraction: number;
    readonly secondsLeft: number | null;
  }[];
  /** What it would need for runs that it had to leave to others. */
  readonly lacks: readonly string[];
}

/** The queue that the studio was started with. */
export interface ShownQueue {
  /** Without user and password. */
  readonly address: string;
  /** Why it cannot be read. */
  readonly problem: string | null;
  readonly snapshot: {
    readonly counts: {
      readonly waiting: number;
      readonly running: number;
      readonly setAside: number;
      readonly parked: number;
    };
    readonly perHour: number | null;
    readonly secondsLeft: number | null;
    /** Of all workers together. */
    readonly slots: number;
    /** The busiest first; not all, where there are very many. */
    readonly workers: readonly ShownWorker[];
    readonly workersInAll: number;
  } | null;
}

/** A refusal. */
export interface Refused {
  readonly error: { readonly code: string; readonly message: string; readonly issues: readonly ShownIssue[] };
}
