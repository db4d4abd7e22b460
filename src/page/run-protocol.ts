/** What goes between the page and the Worker that opens runs. */
import type { NamedFile } from '../data/web/open.js';
import type { RunResult } from '../settings/record.js';

/** Pixels of a canvas, as `getImageData` gives them. */
export interface Rgba {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray;
}

/** A run that is open: what it tells apart and what it came to. */
export interface OpenedRun {
  readonly classes: readonly string[];
  readonly result: RunResult;
  /** Which of the frozen models it is over. */
  readonly student: string;
}

/** Frozen weights that are there, or their addresses, by the models' names. */
export type Weights = Readonly<Record<string, Blob | string>>;

/** What a model makes of a picture. */
export interface Seen {
  /** Of each class. */
  readonly probabilities: readonly number[];
  /** log Σ exp(logit): the less, the stranger the picture. */
  readonly familiarity: number;
  /** How what the head reads shares its attention over the picture, row by row. */
  readonly attention: { readonly grid: readonly [rows: number, columns: number]; readonly shares: readonly number[] };
}

/** A picture of an archive, by the folder that directly holds it, or the class that a list gives it; `''` where there is none. */
export interface UnpackedFile {
  readonly folder: string;
  readonly name: string;
  readonly blob: Blob;
}

export interface Unpacked {
  readonly files: readonly UnpackedFile[];
  /** Sentences about what was passed over. */
  readonly problems: readonly string[];
}

/** What the Worker does, by name. */
export interface RunCalls {
  open: { args: [run: string, weights: Weights]; value: OpenedRun };
  see: { args: [picture: Blob | Rgba]; value: Seen };
  /** The student as ONNX, held against the engine on these pictures. */
  onnx: { args: [pictures: readonly Blob[]]; value: Blob };
  unpack: { args: [zip: Blob]; value: Unpacked };
  /** A folder's pictures by what its lists say; null where they say nothing. */
  listed: { args: [files: readonly NamedFile[]]; value: readonly UnpackedFile[] | null };
}
export type RunCallName = keyof RunCalls;

export type RunRequest = {
  [Name in RunCallName]: { id: number; name: Name; args: RunCalls[Name]['args'] };
}[RunCallName];
export type RunReply = { id: number; value: unknown } | { id: number; code: string | null; error: string };
