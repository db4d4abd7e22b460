/** What analyses are made of: a run, its test images as both models see them, and what was asked for. */
import type { ImageSource } from '../../data/node/image-source.js';
import type { OpenedRun } from '../../runs/open-run.js';
import type { TestImages } from '../../runs/test-images.js';
import type { Answers } from '../../statistics/index.js';
import { ROLES, type Role } from '../../step/roles.js';
import { pixelInputs } from '../../train/inputs.js';
import { observeAll, type Source } from '../observe-images.js';

/** What one analysis found. */
export interface Found {
  /** In a line. */
  readonly says: string;
  /** All of it, as JSON. */
  readonly report: object;
  /** Pictures by their names. */
  readonly charts: Readonly<Record<string, string>>;
}

/** What is asked of the analyses. */
export interface Choices {
  readonly images: readonly ImageSource[] | undefined;
  readonly rollout: boolean;
  /** Most images on a map. */
  readonly points: number;
  readonly seed: number;
  readonly signal: AbortSignal | undefined;
  onProgress(what: string, done: number, total: number): void;
}

export interface Observation {
  readonly answers: Answers;
  readonly features: readonly Float32Array[];
}

export interface Subject {
  readonly run: OpenedRun;
  readonly test: TestImages;
  readonly choices: Choices;
  /** Of the models there are. */
  readonly roles: readonly Role[];
  source(role: Role): Source;
  /** Answers and features of the test images: computed when they are first asked for. */
  observed(role: Role): Promise<Observation>;
}

export function subjectOf(run: OpenedRun, test: TestImages, choices: Choices): Subject {
  const seen = new Map<Role, Promise<Observation>>();
  const source = (role: Role): Source => ({
    runtime: test.runtime,
    model: test.models[role]!,
    compile: test.compile,
    parameters: (layout) => run.parameters(role, layout),
  });
  const observe = (role: Role) =>
    observeAll(source(role), pixelInputs(test.pixels[role]!, test.models[role]!), {
      signal: choices.signal,
      onProgress: (done, total) => choices.onProgress(`test (${role})`, done, total),
    });
  return {
    ...{ run, test, choices, source, roles: ROLES.filter((role) => test.models[role] !== null) },
    observed: (role) => {
      if (!seen.has(role)) seen.set(role, observe(role));
      return seen.get(role)!;
    },
  };
}
