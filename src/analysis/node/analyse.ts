/** Analyses of a run, as JSON and as pictures. */
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { ImageSource } from '../../data/node/image-source.js';
import { IdatError, nearest, printable } from '../../errors.js';
import { writeFileAtomic } from '../../files/node/atomic-write.js';
import { type OpenedRun, openRun } from '../../runs/open-run.js';
import { type TestImagesOptions, withTestImages } from '../../runs/test-images.js';
import { noteUnfinished } from '../../runs/unfinished.js';
import type { ModelSpec } from '../../step/model.js';
import { ROLES, type Role } from '../../step/roles.js';
import { attention } from './attention-part.js';
import { pngOfSvg } from './encode.js';
import { agreement, calibration, classes, confusion, hardest, tsneMap, umapMap, weights } from './parts.js';
import { type Choices, type Found, type Subject, subjectOf } from './subject.js';

/** Those that look at images. */
const OF_IMAGES = { attention, tsne: tsneMap, umap: umapMap, confusion, classes, calibration, hardest, agreement };

/** Every analysis: weights alone needs no images, agreement alone a teacher. */
export const ANALYSES = ['weights', ...(Object.keys(OF_IMAGES) as (keyof typeof OF_IMAGES)[])] as const;
export type AnalysisName = (typeof ANALYSES)[number];

export interface AnalyseOptions extends TestImagesOptions {
  /** Default: all, but agreement where no teacher taught. */
  only?: readonly AnalysisName[];
  /** Folder of the files; default `analysis` in the run. Null: nothing is written. */
  out?: string | null;
  /** Images whose attention is shown; default: a test image of each of the first six classes. */
  images?: readonly ImageSource[];
  /** Whether attention is also followed through all blocks; default false. */
  rollout?: boolean;
  /** Most images on the maps of t-SNE and UMAP; default 1,000. */
  points?: number;
  /** Of the maps and of the images chosen for them; default 0. */
  seed?: number;
  /** Takes why one analysis cannot be made, and the others go on; default: it is thrown. */
  onRefused?: (name: AnalysisName, refusal: IdatError) => void;
}

export interface AnalysisPart extends Found {
  readonly name: AnalysisName;
  /** What was written: JSON, and an SVG and a PNG for each chart. */
  readonly files: readonly string[];
}

export interface Analysis {
  readonly runDir: string;
  readonly parts: readonly AnalysisPart[];
}

/**
 * Analyses a run: its weights without images, all else on its test images or those of `data`.
 *
 * @throws IdatError `analysis.only` for an unknown name, `analysis.points`, `analysis.images`, `analysis.rollout`, `analysis.out` when
 *   the folder cannot be written, `run.teacher` for agreement without a teacher, `run.interrupted`, and as `evaluateRun`
 */
export async function analyse(runDir: string, options: AnalyseOptions = {}): Promise<Analysis> {
  const { student, teacher, points = 1000, seed = 0 } = options;
  const run = await openRun(runDir, { ...(student && { student }), ...(teacher && { teacher }) });
  const names = chosenNames(run, options.only);
  if (!Number.isInteger(points) || points < 4) {
    throw new IdatError('analysis.points', `points: expected a whole number from 4, got ${points}`);
  }
  await noteUnfinished(run, options);
  const out = options.out === null ? null : resolve(options.out ?? join(run.dir, 'analysis'));
  if (out !== null) await makeFolder(out); // before minutes are spent in vain
  const parts: AnalysisPart[] = [];
  const add = async (name: AnalysisName, found: Found) => {
    parts.push({ name, ...found, files: out === null ? [] : await write(out, name, found, options) });
  };
  const make = async (name: AnalysisName, part: () => Promise<Found>) => {
    try {
      await add(name, await part());
    } catch (error) {
      const goesOn = options.onRefused && error instanceof IdatError && !options.signal?.aborted;
      if (!goesOn) throw error;
      options.onRefused!(name, error);
    }
  };
  if (names.includes('weights')) await make('weights', async () => weights(run, await modelsOf(run, options)));
  const ofImages = (Object.keys(OF_IMAGES) as (keyof typeof OF_IMAGES)[]).filter((name) => names.includes(name));
  if (ofImages.length > 0) {
    const { images, rollout = false, signal, onProgress } = options;
    const choices: Choices = {
      ...{ images, rollout, points, seed, signal },
      onProgress: (split, done, total) => onProgress?.({ kind: 'evaluate', done, total, split }),
    };
    await withTestImages(run, options, true, async (test) => {
      const subject = subjectOf(run, test, choices);
      for (const name of ofImages) await make(name, () => interruptible(subject, OF_IMAGES[name]));
    });
  }
  return { runDir: run.dir, parts };
}

function chosenNames(run: OpenedRun, only: readonly string[] | undefined): readonly string[] {
  const hasTeacher = run.plan.models.teacher !== null;
  if (only === undefined) return ANALYSES.filter((name) => name !== 'agreement' || hasTeacher);
  const unknown = only.find((name) => !(ANALYSES as readonly string[]).includes(name));
  if (unknown !== undefined) {
    const near = nearest(unknown, ANALYSES, 1)[0];
    const what = `unknown analysis '${printable(unknown)}'; did you mean ${near}?`;
    throw new IdatError('analysis.only', `${what} There are ${ANALYSES.join(', ')}`);
  }
  if (only.length === 0) throw new IdatError('analysis.only', `no analysis named; there are ${ANALYSES.join(', ')}`);
  if (only.includes('agreement') && !hasTeacher) {
    throw new IdatError('run.teacher', `${run.dir}: no teacher taught in this run; leave agreement out`);
  }
  return only;
}

async function modelsOf(run: OpenedRun, options: AnalyseOptions): Promise<Partial<Record<Role, ModelSpec>>> {
  const models: Partial<Record<Role, ModelSpec>> = {};
  for (const role of ROLES) if (run.plan.models[role]) models[role] = await run.model(role, options);
  return models;
}

/** What a signal stops ends in idat's own error. */
async function interruptible(subject: Subject, part: (subject: Subject) => Promise<Found>): Promise<Found> {
  const { signal } = subject.choices;
  const stopped = (cause?: unknown) =>
    new IdatError('run.interrupted', 'stopped before all analyses were made; those made before are kept', { cause });
  if (signal?.aborted) throw stopped();
  try {
    return await part(subject);
  } catch (error) {
    if (!signal?.aborted || error instanceof IdatError) throw error;
    throw stopped(error);
  }
}

async function makeFolder(out: string): Promise<void> {
  try {
    await mkdir(out, { recursive: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new IdatError('analysis.out', `${out}: no folder can be made there (${code}); choose another`, {
      cause: error,
    });
  }
}

/** @returns the files, JSON first */
async function write(
  out: string,
  name: AnalysisName,
  { says, report, charts }: Found,
  { data }: AnalyseOptions,
): Promise<string[]> {
  const files: string[] = [];
  const put = async (file: string, content: string | Uint8Array) => {
    const path = join(out, file);
    await writeFileAtomic(path, content);
    files.push(path);
  };
  const about = { format: 'idat-analysis-1', analysis: name, says, ...(data !== undefined && { ofOtherImages: true }) };
  await put(`${name}.json`, `${JSON.stringify({ ...about, ...report })}\n`);
  for (const [chart, svg] of Object.entries(charts)) {
    await put(`${chart}.svg`, svg);
    await put(`${chart}.png`, await pngOfSvg(svg));
  }
  return files;
}
