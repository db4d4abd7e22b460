/** What the page shows, at any moment. */
import type { Training } from './follow.js';
import type { Pace } from './lengths.js';
import { NO_PROJECT, type OwnModel, type Picture, type Point, type Project } from './project.js';
import type { Seen } from './run-protocol.js';

export interface Notice {
  readonly id: number;
  readonly text: string;
  readonly kind: 'problem' | 'note';
}

export interface State {
  readonly ready: boolean;
  /** Whether another tab is at work on what this browser keeps. */
  readonly elsewhere: boolean;
  /** Whether this browser keeps what is put in. */
  readonly lasting: boolean;
  readonly project: Project;
  readonly pictures: readonly Picture[];
  /** Models that the visitor brought. */
  readonly models: readonly OwnModel[];
  readonly notices: readonly Notice[];
  /** Pictures that are being read. */
  readonly reading: { readonly done: number; readonly total: number } | null;
  readonly training: Training | null;
  readonly points: readonly Point[];
  /** Whether there is a run that has begun and not ended. */
  readonly unfinished: boolean;
  /** Whether a model is open to be tried. */
  readonly model: 'none' | 'opening' | 'open';
  /** What the model makes of the pictures that were set aside, by their ids. */
  readonly seen: ReadonlyMap<string, Seen>;
  readonly saving: string | null;
  /** Whether a model is being opened that was kept as a zip. */
  readonly taking: boolean;
  readonly pace: Pace;
}

/** Before anything is taken up from an earlier visit. */
export const NOTHING_YET: State = {
  ...{
    ready: false,
    elsewhere: false,
    lasting: true,
    project: NO_PROJECT,
    pictures: [],
    models: [],
    notices: [],
    reading: null,
    training: null,
  },
  ...{ points: [], unfinished: false, model: 'none', seen: new Map(), saving: null, taking: false, pace: {} },
};
